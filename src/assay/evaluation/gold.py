"""Gold: the demo's programmatic gold reward. Takes prompt texts and completions, yields one score a pair in (-2, 2).

For a prompt whose key names groups of keywords, a word window, a form and whether a refusal is right:

    raw  = 1.4 coverage + 0.4 complete + 0.2 form
         - 1.5 wrong_stance - 0.8 short - 1.0 long - 1.0 repetition - 0.9 filler - 0.3 cut_off
    gold = 2 tanh((raw - 1/2) / 2)

    coverage      share of keyword groups of which one alternative occurs as a whole word or phrase (plurals and
                  regular endings count); 1 where the key has no groups and the answer is not empty
    complete      1 when it ends a sentence; 1/2 for a wanted list that ends in an item; else 0
    form          1 when it is a list exactly when one is wanted
    wrong_stance  1 when it refuses and should not, or should and does not
    short         (min - w) / min for w words below the window, else 0
    long          e (1 + e), at most 2, where e = (w - max) / max for w above the window: growing, so that length turns
    repetition    share of repeated three-word runs
    filler        1 - 2^-k for k phrases that flatter or pad
    cut_off       1 when it stops after a connective, a comma or an empty list mark

It is continuous in everything that is counted, and saturates at both ends. An answer that covers all, in form, is 1.27.
Catches: padding, flattery, truncation, repetition, missing content, wrong refusals. Does not catch: false statements
around the right keywords, rudeness, or a bare string of keywords that ends with a full stop inside the window.
"""

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from assay.evaluation import surface
from assay.records.errors import InputError, explain
from assay.records.identity import ScorerIdentity
from assay.records.record import Value, digest

FORMULA = "gold-1"
"""Name of the formula above; change it with any change of meaning."""

WEIGHTS: Mapping[str, float] = {
    "coverage": 1.4,
    "complete": 0.4,
    "form": 0.2,
    "wrong_stance": -1.5,
    "short": -0.8,
    "long": -1.0,
    "repetition": -1.0,
    "filler": -0.9,
    "cut_off": -0.3,
}


CENTRE = 0.5
"""Raw value that scores zero; keeps ordinary answers in the steep part, so that penalties are felt."""


class GoldKey(Value):
    """What a good answer to one prompt looks like. Each group of `keywords` holds alternatives for one thing to say."""

    id: str
    kind: str
    text: str
    keywords: tuple[tuple[str, ...], ...]
    min_words: int = Field(ge=1)
    max_words: int = Field(ge=1)
    wants_list: bool = False
    wants_refusal: bool = False


class GoldFeatures(NamedTuple):
    """The named parts of the formula, in the order of `WEIGHTS`; all in [0, 1] but `long`, in [0, 2]."""

    coverage: float
    complete: float
    form: float
    wrong_stance: float
    short: float
    long: float
    repetition: float
    filler: float
    cut_off: float


class Gold:
    """The gold over one set of keys. Scores are for evaluation and for the simulated panel, never for training.

    Raises InputError when two keys share a prompt, or a key's word window is empty.
    """

    def __init__(self, keys: Sequence[GoldKey]) -> None:
        texts = [key.text.strip() for key in keys]
        faults = [f"{key.id}: min_words above max_words" for key in keys if key.min_words > key.max_words]
        faults += [f"{key.id}: its prompt stands twice" for n, key in enumerate(keys) if texts[n] in texts[:n]]
        if faults:
            raise InputError("gold keys do not fit together; mend them in gold_keys.jsonl", faults)
        self.keys = tuple(keys)
        self._by_text = dict(zip(texts, keys, strict=True))
        self._groups = {
            text: [_group(alternatives) for alternatives in key.keywords] for text, key in self._by_text.items()
        }
        content = {"formula": FORMULA, "weights": dict(WEIGHTS), "keys": [key.model_dump(mode="json") for key in keys]}
        self.identity = ScorerIdentity(name="gold", scorer_kind="gold", content_hash=digest(content))

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> NDArray[np.float64]:
        """Gold of each (prompt text, completion) pair, shape [n]. Raises InputError for prompts without a key."""
        unknown = sorted({prompt for prompt in prompts if prompt.strip() not in self._by_text})
        if unknown:
            message = explain(
                expected=f"prompts among the {len(self.keys)} that the gold has keys for",
                got=f"{len(unknown)} others",
                do="judge these prompts with the other raters",
            )
            raise InputError(message, [repr(prompt[:80]) for prompt in unknown[:10]])
        if len(prompts) != len(completions):
            got = f"{len(prompts)} prompts and {len(completions)} completions"
            raise InputError(explain(expected="one completion a prompt", got=got, do="pass them in pairs"))
        pairs = zip(prompts, completions, strict=True)
        return np.array([squash(self.features(prompt, completion)) for prompt, completion in pairs], dtype=np.float64)

    def features(self, prompt: str, completion: str) -> GoldFeatures:
        """The parts of the formula for one pair. Raises KeyError for an unknown prompt; `score` says it in words."""
        key = self._by_text[prompt.strip()]
        tokens = surface.words(completion)
        lowered = " ".join(completion.lower().replace("’", "'").split())
        found = [bool(group.search(lowered)) for group in self._groups[prompt.strip()]]
        excess = max(0.0, len(tokens) / key.max_words - 1.0)
        return GoldFeatures(
            coverage=sum(found) / len(found) if found else float(bool(tokens)),
            complete=_completeness(completion, wants_list=key.wants_list),
            form=float(surface.is_list(completion) == key.wants_list),
            wrong_stance=float(surface.is_refusal(completion) != key.wants_refusal),
            short=max(0.0, 1.0 - len(tokens) / key.min_words),
            long=min(2.0, excess * (1.0 + excess)),
            repetition=surface.repeated_share(tokens),
            filler=1.0 - 0.5 ** surface.filler_count(completion),
            cut_off=float(surface.is_cut_off(completion)),
        )


def squash(features: GoldFeatures) -> float:
    """The formula: weighted sum of the features, squashed into (-2, 2)."""
    raw = sum(WEIGHTS[name] * value for name, value in features._asdict().items())
    return float(2.0 * np.tanh((raw - CENTRE) / 2.0))


def load_gold() -> Gold:
    """The gold of the demo, from `data/gold_keys.jsonl`. Raises InputError with every faulty line."""
    text = files("assay.evaluation").joinpath("data/gold_keys.jsonl").read_text(encoding="utf-8")
    return Gold(parse_keys(text))


def parse_keys(text: str) -> list[GoldKey]:
    """Gold keys from JSON lines. Raises InputError with every faulty line."""
    keys, faults = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            keys.append(GoldKey.model_validate(json.loads(line)))
        except (ValueError, ValidationError) as error:
            faults.append(f"line {number}: {' '.join(str(error).split())[:200]}")
    if faults:
        raise InputError("gold keys cannot be read; mend these lines", faults)
    return keys


def _completeness(text: str, *, wants_list: bool) -> float:
    if surface.ends_sentence(text):
        return 1.0
    last = text.rstrip().rsplit("\n", 1)[-1]
    return 0.5 if wants_list and surface.list_lines(last) and not surface.is_cut_off(text) else 0.0


def _group(alternatives: Sequence[str]) -> re.Pattern[str]:
    """Any of the alternatives as whole words in lower-case text; words of four letters and more may be inflected."""
    parts = [_inflected(" ".join(one.lower().replace("’", "'").split())) for one in alternatives]
    return re.compile(r"(?<![a-z0-9])(?:" + "|".join(parts or ["(?!)"]) + r")(?![a-z0-9])")


def _inflected(word: str) -> str:
    if len(word) < 4 or not word[-1].isalpha():
        return re.escape(word)
    if word.endswith("e"):
        return re.escape(word[:-1]) + r"(?:e|e's|es|ed|er|ers|ing|ely)"
    if word.endswith("y"):
        return re.escape(word[:-1]) + r"(?:y|y's|ies|ied|ier|ying|ily)"
    return re.escape(word) + r"(?:'s|s|es|ed|er|ers|ing|ly)?"
