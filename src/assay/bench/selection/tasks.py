"""Tasks: pools of pairs whose every answer is known, divided by prompt into those to ask about and those to judge on.

`alike`: every topic is as common as the next and differs in the same ways, so that pairs are as even as pairs get.
`uneven`: topics are as common as 1/1, 1/2, 1/3 .., completions differ otherwise in each, and some prompts have answers
that lie far apart: what most pools look like. In both the worth of a completion is linear in its 16 features, and each
answer is one person's of a panel as in `assay.bench.aggregation.worlds`. `real_task`: real pairs seen through a frozen
backbone, each answer the share of people's votes.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from assay.bench.aggregation.worlds import LEFT, SHARES, SPAM, TEMPERATURES
from assay.lm import LanguageModel
from assay.records.preference import Preference
from assay.rewards import Features, RewardSettings, read_features
from assay.rewards.completion_rows import CompletionRows, preference_pairs
from assay.rewards.feature_maps import Basis, Block, fit_map

TOPICS, PROMPTS, COMPLETIONS, WIDTH, PLACES = 12, 400, 4, 16, 8
HELD_OUT = 0.25
MEMBERS = 5


class Task(NamedTuple):
    """`views`: what each member sees of completions [completions, d]. By pair [n]: rows `first` and `second`, `prompt`
    number, place `about` [n, d], the `answer` (chance that the first is better, 0 or 1 where one person was asked),
    whether the first `is_better`, and whether it `is_held_out`.
    """

    views: tuple[np.ndarray, ...]
    first: np.ndarray
    second: np.ndarray
    prompt: np.ndarray
    about: np.ndarray
    answer: np.ndarray
    is_better: np.ndarray
    is_held_out: np.ndarray


def alike(seed: int) -> Task:
    """All topics alike."""
    return _simulated(seed, rarity=0.0, ways=0.0, reach=0.0)


def uneven(seed: int) -> Task:
    """Topics of 1/1, 1/2, 1/3 .., each with ways of differing of its own, and prompts whose answers lie far apart."""
    return _simulated(seed, rarity=1.0, ways=1.0, reach=0.6)


WORLDS: Mapping[str, Callable[[int], Task]] = MappingProxyType({"alike": alike, "uneven": uneven})


def _simulated(seed: int, *, rarity: float, ways: float, reach: float) -> Task:
    rng = np.random.default_rng(seed)
    share = np.arange(1, TOPICS + 1) ** -rarity
    topic = rng.choice(TOPICS, size=PROMPTS, p=share / share.sum())
    about = 2 * rng.normal(size=(TOPICS, PLACES))[topic] + rng.normal(scale=0.7, size=(PROMPTS, PLACES))
    scale = np.exp(rng.normal(scale=ways, size=(TOPICS, WIDTH)))
    scale /= np.sqrt((scale**2).mean(1, keepdims=True))
    apart = np.exp(rng.normal(scale=reach, size=PROMPTS))
    x = rng.normal(size=(PROMPTS, COMPLETIONS, WIDTH)) * scale[topic][:, None] * apart[:, None, None]
    x = x.reshape(-1, WIDTH)
    worth = x @ rng.normal(size=WIDTH)
    worth /= worth.std()
    a, b = np.triu_indices(COMPLETIONS, 1)
    base = np.arange(PROMPTS)[:, None] * COMPLETIONS
    first, second = (base + a).ravel(), (base + b).ravel()
    prompt = np.repeat(np.arange(PROMPTS), len(a))
    difference = worth[first] - worth[second]
    held_out = rng.permutation(PROMPTS)[: round(HELD_OUT * PROMPTS)]
    return Task(
        views=(x,) * MEMBERS,
        first=first,
        second=second,
        prompt=prompt,
        about=about[prompt],
        answer=_answers(difference, rng),
        is_better=difference > 0,
        is_held_out=np.isin(prompt, held_out),
    )


def _answers(difference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One person's word on each pair, 1 for the first; sides are at random, so who looks at the side alone tosses."""
    kind = rng.choice(len(SHARES), size=len(difference), p=SHARES)
    tosses = (kind == SPAM) | ((kind == LEFT) & (rng.random(len(kind)) < 0.8))
    chance = np.where(tosses, 0.5, expit(difference / TEMPERATURES[kind]))
    return np.asarray(rng.random(len(kind)) < chance, dtype=np.float64)


class Read(NamedTuple):
    """Real pairs with the features of their completions; `prompt` numbers them."""

    features: Features
    chosen: np.ndarray
    rejected: np.ndarray
    probability: np.ndarray
    prompt: np.ndarray


def read_pairs(lm: LanguageModel, preferences: Sequence[Preference], *, cache: Path) -> Read:
    """The features of real pairs, as the default reward reads them; kept in `cache`."""
    depth = lm.causal.config.num_hidden_layers
    layers = [max(1, round(share * depth)) for share in RewardSettings().layers]
    rows = CompletionRows()
    pairs = preference_pairs(rows, preferences)
    features = read_features(lm, rows.prompts, rows.completions, layers=layers, cache=cache)
    return Read(features, pairs.chosen, pairs.rejected, pairs.probability, np.array(rows.group)[pairs.chosen])


def real_task(read: Read, seed: int) -> Task:
    """Real pairs divided by the seed, with half of them turned round; maps are fitted on what there is to ask about."""
    rng = np.random.default_rng(seed)
    is_turned = rng.random(len(read.chosen)) < 0.5
    first = np.where(is_turned, read.rejected, read.chosen)
    second = np.where(is_turned, read.chosen, read.rejected)
    prompts = rng.permutation(np.unique(read.prompt))
    is_held_out = np.isin(read.prompt, prompts[: round(HELD_OUT * len(prompts))])
    seen = read.features.take(np.unique(np.concatenate([first[~is_held_out], second[~is_held_out]])))
    settings, known = RewardSettings(), dict[Block, Basis]()
    maps = [fit_map(name, seen, directions=settings.directions, known=known) for name in settings.feature_maps]
    where = fit_map("mean-high", seen, directions=PLACES).apply(read.features)
    return Task(
        views=tuple(one.apply(read.features) for one in maps),
        first=first,
        second=second,
        prompt=read.prompt,
        about=(where[first] + where[second]) / 2,
        answer=np.where(is_turned, 1 - read.probability, read.probability),
        is_better=~is_turned,
        is_held_out=is_held_out,
    )
