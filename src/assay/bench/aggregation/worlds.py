"""Worlds: simulated panels whose truth is known: one of usual people, and four that the joint model does not describe.

Takes a name, a number of prompts and a seed; yields judgements as arrays, with the true worth of each completion and
the kind of each annotator. Every prompt has four completions and all six pairs; five of 200 annotators judge a pair, on
a random side. Of the annotators 70% are careful, 15% noisy, 10% choose the left most of the time, 5% do not look.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

Array = np.ndarray
CAREFUL, NOISY, LEFT, SPAM, AGAINST = range(5)
KINDS = ("careful", "noisy", "side-biased", "spamming", "against better knowledge")
SHARES = (0.70, 0.15, 0.10, 0.05, 0.0)
TEMPERATURES = np.array([0.5, 3.0, 0.5, 0.5, 0.5])
COMPLETIONS, PEOPLE, PER_PAIR = 4, 200, 5


class World(NamedTuple):
    """Judgements coded as in `JudgementTable` [judgements], `worth` [completions], `kind` [people]."""

    annotator: Array
    item_a: Array
    item_b: Array
    outcome: Array
    side: Array
    worth: Array
    kind: Array


class _Questions(NamedTuple):
    """Who is asked what: [judgements] each, in the order in which they were asked; `pair` numbers the pairs."""

    pair: Array
    item_a: Array
    item_b: Array
    annotator: Array
    side: Array
    difference: Array


Lean = Callable[[_Questions, Array, np.random.Generator], Array]
Draw = Callable[[int, np.random.Generator], Array]


def usual(prompts: int, seed: int) -> World:
    """Normal worths, logistic noise; the left-biased toss a coin that lands left nine times of ten."""
    return _world(prompts, seed, lean=lambda asked, kind, rng: asked.difference / TEMPERATURES[kind[asked.annotator]])


def shared_errors(prompts: int, seed: int) -> World:
    """All are drawn by the same surface of each completion (s.d. 0.5) and misled by the same pairs (s.d. 0.7)."""

    def lean(asked: _Questions, kind: Array, rng: np.random.Generator) -> Array:
        charm = rng.normal(scale=0.5, size=prompts * COMPLETIONS)
        trap = rng.normal(scale=0.7, size=int(asked.pair.max()) + 1)
        seen = asked.difference + charm[asked.item_a] - charm[asked.item_b] + trap[asked.pair]
        return np.asarray(seen / TEMPERATURES[kind[asked.annotator]])

    return _world(prompts, seed, lean=lean)


def adversaries(prompts: int, seed: int) -> World:
    """One in five answers the opposite of what they see; the others are as usual."""

    def lean(asked: _Questions, kind: Array, rng: np.random.Generator) -> Array:
        sign = np.where(kind[asked.annotator] == AGAINST, -1.0, 1.0)
        return np.asarray(sign * asked.difference / TEMPERATURES[kind[asked.annotator]])

    return _world(prompts, seed, lean=lean, shares=(0.56, 0.12, 0.08, 0.04, 0.20))


def heavy_tails(prompts: int, seed: int) -> World:
    """Worths from Student's t with two degrees of freedom; less than an own threshold is a tie to each person."""

    def tie_below(people: int, rng: np.random.Generator) -> Array:
        return np.asarray(rng.lognormal(np.log(0.6), 0.7, size=people))

    def lean(asked: _Questions, kind: Array, rng: np.random.Generator) -> Array:
        return np.asarray(asked.difference / TEMPERATURES[kind[asked.annotator]])

    def draw(count: int, rng: np.random.Generator) -> Array:
        return np.asarray(rng.standard_t(2, size=count) / 2)

    return _world(prompts, seed, lean=lean, draw=draw, tie_below=tie_below)


def context(prompts: int, seed: int) -> World:
    """Each person has a skill of their own in each of four topics; all tire, and the tired lean to one side; noise is
    normal."""

    def lean(asked: _Questions, kind: Array, rng: np.random.Generator) -> Array:
        topic = asked.item_a // COMPLETIONS % 4
        temperature = rng.lognormal(np.log(0.7), 0.9, size=(PEOPLE, 4))[asked.annotator, topic]
        tired = np.arange(len(topic)) / len(topic)
        habit = rng.normal(scale=1.2, size=PEOPLE)[asked.annotator] * tired * asked.side
        return np.asarray(asked.difference / (temperature * (1 + tired)) + habit)

    return _world(prompts, seed, lean=lean, noise=lambda count, rng: rng.normal(scale=1.7, size=count))


WORLDS: Mapping[str, Callable[[int, int], World]] = MappingProxyType(
    {"shared errors": shared_errors, "adversaries": adversaries, "heavy tails": heavy_tails, "context": context}
)
"""The four that the model does not describe."""


def _logistic(count: int, rng: np.random.Generator) -> Array:
    return rng.logistic(size=count)


def _normal(count: int, rng: np.random.Generator) -> Array:
    return rng.normal(size=count)


def _never_tie(people: int, rng: np.random.Generator) -> Array:
    return np.zeros(people)


def _world(
    prompts: int,
    seed: int,
    *,
    lean: Lean,
    draw: Draw = _normal,
    noise: Draw = _logistic,
    tie_below: Draw = _never_tie,
    shares: tuple[float, ...] = SHARES,
) -> World:
    rng = np.random.default_rng(seed)
    worth = draw(prompts * COMPLETIONS, rng)
    kind = rng.permutation(np.repeat(np.arange(len(KINDS)), np.round(np.array(shares) * PEOPLE).astype(int)))
    asked = _questions(prompts, worth, rng)
    said = lean(asked, kind, rng) + noise(len(asked.pair), rng)
    outcome = np.where(np.abs(said) < tie_below(PEOPLE, rng)[asked.annotator], 0, np.where(said > 0, 1, -1))
    who = kind[asked.annotator]
    tosses = (who == SPAM) | ((who == LEFT) & (rng.random(len(who)) < 0.8))
    says_left = rng.random(len(who)) < np.where(who == LEFT, 0.9, 0.5)
    outcome = np.where(tosses, np.where(says_left, asked.side, -asked.side), outcome)
    return World(asked.annotator, asked.item_a, asked.item_b, outcome, asked.side, worth, kind)


def _questions(prompts: int, worth: Array, rng: np.random.Generator) -> _Questions:
    first, second = np.triu_indices(COMPLETIONS, 1)
    base = np.arange(prompts)[:, None] * COMPLETIONS
    pair_a, pair_b = (base + first).ravel(), (base + second).ravel()
    pair = np.repeat(np.arange(len(pair_a)), PER_PAIR)
    # Five different people a pair: a random start and a random step prime to the number of people.
    steps = np.array([step for step in range(1, PEOPLE) if np.gcd(step, PEOPLE) == 1])
    start, step = rng.integers(PEOPLE, size=len(pair_a)), rng.choice(steps, size=len(pair_a))
    annotator = ((start[:, None] + step[:, None] * np.arange(PER_PAIR)) % PEOPLE).ravel()
    order = rng.permutation(len(pair))
    pair, annotator = pair[order], annotator[order]
    item_a, item_b = pair_a[pair], pair_b[pair]
    side = rng.choice(np.array([-1, 1]), size=len(pair))
    return _Questions(pair, item_a, item_b, annotator, side, worth[item_a] - worth[item_b])
