"""Regression: "did I break it?": general abilities of the reference that the policy must not lose.

Takes two callables, one that generates and one that scores text, for the policy and for its reference; yields checks.
Two abilities: perplexity on plain text, and a small suite of facts, sums, copying, spelling and sequences. One counts
as broken when the policy is worse by more than the noise floor and by more than two standard errors, both measured.

Catches: forgetting, collapse into one style, broken syntax. Does not catch: loss of rare knowledge or long reasoning;
24 short items see large losses only.
"""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from assay.evaluation.statistics import Floats, paired_standard_error
from assay.evaluation.surface import words
from assay.records.conversation import Prompt, user_prompt
from assay.records.errors import InputError, explain
from assay.records.evidence import RegressionCheck
from assay.records.record import Value

Generate = Callable[[Sequence[Prompt], int], Sequence[str]]
"""Texts for prompts, with a seed."""
Logprobs = Callable[[Sequence[Prompt], Sequence[str]], Sequence[NDArray[np.floating]]]
"""Log-probability (nats) of each token of each completion, given its prompt."""

RESAMPLES = 1000


class Ability(Value):
    """One short task and the answers that count, compared as words: lower case, without punctuation."""

    id: str
    kind: str
    prompt: str
    accepted: tuple[str, ...] = Field(min_length=1)
    rejected: tuple[str, ...] = ()
    """Words that make an answer wrong even beside an accepted one, such as `no` beside `yes`."""


class LanguageModelUnderTest(NamedTuple):
    """What regression needs of a model: how it generates and how it scores text."""

    generate: Generate
    logprobs: Logprobs


def check_regressions(
    policy: LanguageModelUnderTest,
    reference: LanguageModelUnderTest,
    *,
    seeds: Sequence[int],
    abilities: Sequence[Ability] | None = None,
    passages: Sequence[str] | None = None,
) -> tuple[RegressionCheck, ...]:
    """Both checks on the bundled data, or on what is passed. `seeds` (two or more) are the repeats of the suite.

    Raises InputError with fewer than two seeds: one run has no noise floor.
    """
    return (
        check_perplexity(policy.logprobs, reference.logprobs, passages or load_passages(), seed=seeds[0]),
        check_abilities(policy.generate, reference.generate, abilities or load_abilities(), seeds=seeds),
    )


def check_perplexity(policy: Logprobs, reference: Logprobs, passages: Sequence[str], *, seed: int) -> RegressionCheck:
    """Perplexity of plain sentences, each given the one before it.

    The noise floor is the spread of the reference's own perplexity over resampled sentences (one standard deviation);
    the standard error is that of the paired difference, on the scale of perplexity.
    """
    prompts, texts = [user_prompt(text) for text in passages[:-1]], list(passages[1:])
    ours, theirs = (_losses(score(prompts, texts)) for score in (policy, reference))
    value, base = ours.perplexity(), theirs.perplexity()
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(texts), (RESAMPLES, len(texts)))
    floor = float(np.std([theirs.perplexity(draw) for draw in draws], ddof=1))
    gaps = np.array([np.log(ours.perplexity(draw) / theirs.perplexity(draw)) for draw in draws])
    return RegressionCheck(
        name="perplexity of plain text",
        reference=base,
        policy=value,
        noise_floor=floor,
        higher_is_better=False,
        is_broken=value - base > max(floor, 2.0 * base * float(gaps.std(ddof=1))),
    )


def check_abilities(
    policy: Generate, reference: Generate, abilities: Sequence[Ability], *, seeds: Sequence[int]
) -> RegressionCheck:
    """Share of the suite answered rightly, mean over the seeds.

    The noise floor is the largest distance of one of the reference's runs from their mean; the standard error is that
    of the paired difference over items.
    """
    if len(set(seeds)) < 2:
        todo = "pass two or more different seeds; one run has no noise floor"
        raise InputError(explain(expected="two or more seeds", got=str(list(seeds)), do=todo))
    ours, theirs = (answered(generate, abilities, seeds) for generate in (policy, reference))
    runs = theirs.mean(axis=1)
    value, base = float(ours.mean()), float(runs.mean())
    floor = float(np.abs(runs - base).max())
    error = paired_standard_error(ours.mean(axis=0), theirs.mean(axis=0))
    return RegressionCheck(
        name="facts, sums and copying",
        reference=base,
        policy=value,
        noise_floor=floor,
        higher_is_better=True,
        is_broken=base - value > max(floor, 2.0 * error),
    )


def answered(generate: Generate, abilities: Sequence[Ability], seeds: Sequence[int]) -> Floats:
    """1 where an item was answered rightly, shape [seeds, items]."""
    prompts = [user_prompt(ability.prompt) for ability in abilities]
    return np.array(
        [
            [float(is_right(ability, text)) for ability, text in zip(abilities, generate(prompts, seed), strict=True)]
            for seed in seeds
        ]
    )


def is_right(ability: Ability, text: str) -> bool:
    """Whether an accepted answer stands in the text as whole words, and no rejected one does."""
    said = f" {' '.join(words(text))} "
    accepted = any(f" {' '.join(words(answer))} " in said for answer in ability.accepted)
    return accepted and not any(f" {' '.join(words(answer))} " in said for answer in ability.rejected)


def load_abilities() -> list[Ability]:
    """The bundled suite, from `data/abilities.jsonl`."""
    text = files("assay.evaluation").joinpath("data/abilities.jsonl").read_text(encoding="utf-8")
    return [Ability.model_validate(json.loads(line)) for line in text.splitlines() if line.strip()]


def load_passages() -> list[str]:
    """The bundled plain text, one sentence an entry, from `data/plain_text.md`."""
    text = files("assay.evaluation").joinpath("data/plain_text.md").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


class _Losses(NamedTuple):
    """Summed negative log-probability and number of tokens of each text."""

    nats: Floats
    tokens: Floats

    def perplexity(self, index: NDArray[np.intp] | slice = slice(None)) -> float:
        """exp of nats a token over the chosen texts."""
        return float(np.exp(self.nats[index].sum() / self.tokens[index].sum()))


def _losses(logprobs: Sequence[NDArray[np.floating]]) -> _Losses:
    nats = np.array([-float(np.sum(one)) for one in logprobs])
    return _Losses(nats, np.array([float(len(one)) for one in logprobs]))
