"""Measurement: the selection benchmark put together, and the bars it is held to.

Takes a plan; yields, for each pool, the curves of both ways and the share of labels that selection saves. PandaLM is
left out where its file is not there, and carries no bar: 800 pairs through a small backbone leave curves that a few
points of noise cross.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.bench.bars import Bar
from assay.bench.reward.data import FILES, preferences_by_vote
from assay.bench.selection.learning import Curve, Rounds, learn
from assay.bench.selection.tasks import WORLDS, Task, read_pairs, real_task
from assay.feedback.reading import read_judgements
from assay.lm import encode_pair, load

LEAST_SAVING = 0.3
BOOTSTRAPS = 1000
PANDALM = "pandalm"


class SelectionBenchPlan(NamedTuple):
    """`seeds` from `seed` on, the rounds, and where the public files lie; None leaves real people out."""

    seeds: int
    rounds: Rounds = Rounds()
    real_rounds: Rounds = Rounds(40, 20, 260)
    """About half of what there is to ask: where nearly all is asked, no way of choosing differs."""
    seed: int = 2000
    data: Path | None = None
    model: str = "default"
    max_length: int = 256


FULL = SelectionBenchPlan(40)
QUICK = SelectionBenchPlan(2, Rounds(40, 20, 120), Rounds(40, 20, 100))


class Saving(NamedTuple):
    """Share of labels that selection saves for the accuracy that random labels reach, with 95 % by seed.

    Mean over the numbers of random labels in the second half of the curve. Below 0: it needs more; -1 stands for an
    accuracy that it never reached.
    """

    saved: float
    low: float
    high: float


class PoolOutcome(NamedTuple):
    """One pool: mean curves, the saving, the mean gaps of the two arms of selection and the first one's error."""

    labels: tuple[int, ...]
    random: tuple[float, ...]
    selected: tuple[float, ...]
    saving: Saving
    random_gap: float
    random_gap_error: float
    informative_gap: float


class SelectionMeasurement(NamedTuple):
    """By pool: `alike` and `uneven`, and `pandalm` where it was measured."""

    pools: dict[str, PoolOutcome]


def bench_selection(
    plan: SelectionBenchPlan, *, scratch: Path, now: datetime, said: Callable[[str], object]
) -> SelectionMeasurement:
    """Measure all of it; `said` hears what is being done. Raises ModelError or InputError as its parts do."""
    pools = {}
    for name, world in WORLDS.items():
        said(f"{name}: {plan.seeds} simulated pools")
        pools[name] = _outcome(plan, plan.rounds, world)
    path = None if plan.data is None else plan.data / FILES[PANDALM]
    if path is not None and path.exists():
        lm = load(plan.model)
        preferences = [
            one
            for one in preferences_by_vote(read_judgements(path, now=now).judgements, now=now)
            if all(encode_pair(lm, one.prompt, text).length <= plan.max_length for text in (one.chosen, one.rejected))
        ]
        said(f"{PANDALM}: reading {len(preferences)} pairs")
        read = read_pairs(lm, preferences, cache=scratch)
        pools[PANDALM] = _outcome(plan, plan.real_rounds, lambda seed: real_task(read, seed))
    return SelectionMeasurement(pools)


def _outcome(plan: SelectionBenchPlan, rounds: Rounds, task_of: Callable[[int], Task]) -> PoolOutcome:
    seeds = range(plan.seed, plan.seed + plan.seeds)
    both: list[tuple[Curve, Curve]] = []
    for seed in seeds:
        task = task_of(seed)
        both.append((learn(task, "random", rounds, seed=seed), learn(task, "selected", rounds, seed=seed)))
    labels = rounds.labels
    random = np.array([one.accuracy for one, _ in both])
    selected = np.array([other.accuracy for _, other in both])
    gaps = np.array([other.random_gap for _, other in both])
    return PoolOutcome(
        labels=tuple(int(count) for count in labels),
        random=tuple(float(value) for value in random.mean(0)),
        selected=tuple(float(value) for value in selected.mean(0)),
        saving=_saving(labels, random, selected, np.random.default_rng([plan.seed, 2])),
        random_gap=float(gaps.mean()),
        random_gap_error=float(gaps.std(ddof=1) / np.sqrt(len(gaps))),
        informative_gap=float(np.mean([other.informative_gap for _, other in both])),
    )


def _saving(labels: np.ndarray, random: np.ndarray, selected: np.ndarray, rng: np.random.Generator) -> Saving:
    """The saving of the mean curves [seeds, labels], with an interval of resampled seeds."""
    half = labels[len(labels) // 2 :]

    def mean_saved(rows: np.ndarray) -> float:
        one, other = random[rows].mean(0), selected[rows].mean(0)
        return float(np.mean([saved(labels, one, other, int(at)) for at in half]))

    seeds = len(random)
    drawn = [mean_saved(rng.integers(seeds, size=seeds)) for _ in range(BOOTSTRAPS)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Saving(mean_saved(np.arange(seeds)), float(low), float(high))


def saved(labels: np.ndarray, random: np.ndarray, selected: np.ndarray, at: int) -> float:
    """Share of `at` labels that the second curve saves for the accuracy of the first one; -1 where it never has it.

    A curve that falls between two points is taken at its best so far, both ways alike; between points it is a line.
    """
    best, reached = np.maximum.accumulate(random), np.maximum.accumulate(selected)
    target = float(np.interp(at, labels, best))
    here = int(np.argmax(reached >= target))
    if reached[here] < target:
        return -1.0
    if here == 0:
        return 1 - float(labels[0]) / at
    share = (target - reached[here - 1]) / (reached[here] - reached[here - 1])
    return 1 - float(labels[here - 1] + share * (labels[here] - labels[here - 1])) / at


def bars_of(measured: SelectionMeasurement) -> Sequence[Bar]:
    """The claims: what is saved in the simulated pools, and that the random arm is an honest sample."""
    bars = []
    for name in WORLDS:
        outcome = measured.pools.get(name)
        value = None if outcome is None else outcome.saving.saved
        bars.append(Bar(f"labels saved, {name}", value, LEAST_SAVING, "at_least"))
        errors = None if outcome is None else abs(outcome.random_gap) / outcome.random_gap_error
        bars.append(Bar(f"bias of the random arm, {name}", errors, 3.0, "at_most", "standard errors"))
    return bars
