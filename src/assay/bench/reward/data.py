"""Data: real people's pairs, divided by prompt into those a reward is fitted on and those it is judged on.

Takes a directory with the public files and the sizes wanted; yields preferences whose probability is the share of
votes, so that every reward under test is given, and judged by, what people said and nothing that an aggregation adds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from assay.feedback.reading import read_judgements
from assay.lm import LanguageModel, encode_pair
from assay.records.conversation import prompt_id
from assay.records.errors import InputError, explain
from assay.records.judgement import Judgement
from assay.records.preference import Preference

FILES: Mapping[str, str] = MappingProxyType(
    {"hh-harmless": "hh-rlhf-harmless/test.jsonl.gz", "pandalm": "pandalm/testset-v1.json"}
)
"""The sets, by name, and where each lies below the data directory."""
VOTES: Mapping[str, float] = MappingProxyType({"first": 1.0, "tie": 0.5, "second": 0.0})
TEMPLATE_TOKENS = 2
"""Tokens that another library's template may put behind a completion; the length limit leaves room for them."""


class Sizes(NamedTuple):
    """Pairs to fit on and to judge on, at most, and the tokens that prompt and completion may have together."""

    train: int
    held_out: int
    max_length: int


class PairSet(NamedTuple):
    """One set's pairs; no prompt stands on both sides."""

    name: str
    train: tuple[Preference, ...]
    held_out: tuple[Preference, ...]


def read_pair_set(
    name: str, directory: Path, lm: LanguageModel, sizes: Sizes, *, seed: int, now: datetime
) -> PairSet | None:
    """Read a set and draw its two sides by the seed; None where the file is not there.

    Raises InputError when the file cannot be read, or holds too few short pairs to fit on and judge.
    """
    path = directory / FILES[name]
    if not path.exists():
        return None
    preferences = preferences_by_vote(read_judgements(path, now=now).judgements, now=now)
    groups: dict[str, list[Preference]] = {}
    for preference in preferences:
        groups.setdefault(preference.prompt_id, []).append(preference)
    keys = sorted(groups)
    order = np.random.default_rng(seed).permutation(len(keys))
    short = _short(lm, (groups[keys[i]] for i in order), sizes.max_length)
    held_out, train = _take(short, sizes.held_out), _take(short, sizes.train)
    if len(train) < 8 or len(held_out) < 2:
        do = "give the whole file, or raise the length limit"
        got = f"{len(train)} and {len(held_out)} of at most {sizes.max_length} tokens"
        raise InputError(explain(expected=f"8 pairs to fit on and 2 to judge in {path}", got=got, do=do))
    return PairSet(name, tuple(train), tuple(held_out))


def preferences_by_vote(judgements: Sequence[Judgement], *, now: datetime) -> list[Preference]:
    """One preference a pair: `probability` is the share of votes for `chosen`, ties half a vote; even pairs are out."""
    pairs: dict[tuple[str, str, str], list[Judgement]] = {}
    for judgement in judgements:
        if judgement.choice in VOTES:
            pairs.setdefault((prompt_id(judgement.prompt), judgement.first, judgement.second), []).append(judgement)
    preferences = []
    for (_, first, second), said in pairs.items():
        share = float(np.mean([VOTES[judgement.choice] for judgement in said]))
        if share == 0.5:
            continue
        share_of_chosen = max(share, 1 - share)
        votes = share_of_chosen * len(said)
        preferences.append(
            Preference(
                created_at=now,
                prompt=said[0].prompt,
                chosen=first if share > 0.5 else second,
                rejected=second if share > 0.5 else first,
                margin=float(np.log((votes + 0.5) / (len(said) - votes + 0.5))),
                standard_error=0.0,
                probability=share_of_chosen,
                judgements=tuple(judgement.id for judgement in said),
                annotators=tuple(sorted({judgement.annotator for judgement in said})),
                aggregation="share of votes",
            )
        )
    return preferences


def _short(lm: LanguageModel, groups: Iterable[list[Preference]], max_length: int) -> Iterator[list[Preference]]:
    """The pairs of each prompt of which both completions fit; looks no further than it is asked."""
    for group in groups:
        fitting = [p for p in group if _length(lm, p) + TEMPLATE_TOKENS <= max_length]
        if fitting:
            yield fitting


def _take(groups: Iterator[list[Preference]], count: int) -> list[Preference]:
    """The next whole prompts, up to `count` pairs; a prompt's pairs beyond that are left out."""
    taken: list[Preference] = []
    while len(taken) < count:
        group = next(groups, None)
        if group is None:
            break
        taken += group
    return taken[:count]


def _length(lm: LanguageModel, preference: Preference) -> int:
    pairs = [encode_pair(lm, preference.prompt, text) for text in (preference.chosen, preference.rejected)]
    return max(len(pair.prompt) + len(pair.completion) for pair in pairs)
