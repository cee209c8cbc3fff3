"""Measurement: the aggregation benchmark put together, and the bars it is held to.

Takes a plan; yields costs, the order of pairs in four worlds unlike the model, kinds of annotators, minority findings
and mirrored fits. What needs crowd-kit is None where no Python with it was given, and its bars then fall short.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.bench.aggregation.cost import Cost, fit_cost
from assay.bench.aggregation.minority import MinorityOutcome, measure_minority
from assay.bench.aggregation.order import OURS, right_share, told_apart, world_cells
from assay.bench.aggregation.peer import ALL_METHODS, QUICK_METHODS, TIMED, run_crowdkit
from assay.bench.aggregation.worlds import WORLDS, World, usual
from assay.bench.bars import Bar
from assay.preferences import cells_from, fit_jointly

PROMPTS_AT_50 = 334
"""Prompts at which 200 people give 50 judgements each."""
CLAIMED_KINDS = ("careful", "noisy", "side-biased", "spamming")


class AggregationPlan(NamedTuple):
    """How much to measure. `prompts` have 30 judgements each; `worlds` and `kinds` count seeds."""

    prompts: int
    worlds: int
    kinds: int
    cost_sizes: tuple[int, ...]
    cost_runs: int
    homogeneous: int
    planted: int
    peer_methods: tuple[str, ...]
    peer_timed_judgements: int
    seed: int = 0
    peer_python: Path | None = None


FULL = AggregationPlan(334, 3, 10, (100_000, 1_000_000), 3, 200, 50, ALL_METHODS, 100_000)
QUICK = AggregationPlan(100, 1, 2, (10_000,), 1, 6, 2, QUICK_METHODS, 3_000)


class AggregationMeasurement(NamedTuple):
    """`order` and `peer_order`: share of right pairs by world and method, mean over seeds. `peer_cpu_s` by method at
    the size it was timed at, and `peer_peak_mib` of each. `mirror_gap`: largest difference of mirrored scores."""

    costs: tuple[Cost, ...]
    order: dict[str, dict[str, float]]
    peer_order: dict[str, dict[str, float]] | None
    peer_cpu_s: dict[str, float] | None
    peer_peak_mib: dict[str, float] | None
    own_cpu_s_beside_peer: float | None
    kinds: dict[str, float]
    minority: MinorityOutcome
    mirror_gap: float


def bench_aggregation(plan: AggregationPlan, *, said: Callable[[str], None]) -> AggregationMeasurement:
    """Measure all of it; `said` hears what is being done."""
    said("cost of the joint fit")
    costs = tuple(fit_cost(size, runs=plan.cost_runs, seed=plan.seed) for size in plan.cost_sizes)
    order: dict[str, dict[str, float]] = {}
    peer_order: dict[str, dict[str, float]] = {}
    for name, world in WORLDS.items():
        said(f"order of pairs: {name}")
        simulated = [world(plan.prompts, plan.seed + number) for number in range(plan.worlds)]
        order[name] = _mean([_own_order(one) for one in simulated])
        if plan.peer_python is not None:
            peer_order[name] = _mean([_peer_order(plan, plan.peer_python, one) for one in simulated])
    said("kinds of annotators")
    panels = [usual(PROMPTS_AT_50, plan.seed + number) for number in range(plan.kinds)]
    kinds = _mean([told_apart(panel, fit_jointly(world_cells(panel))) for panel in panels])
    said("groups that differ")
    minority = measure_minority(homogeneous=plan.homogeneous, planted=plan.planted, seed=plan.seed)
    peer_cpu_s, peer_peak_mib, own = None, None, None
    if plan.peer_python is not None:
        said("cost of crowd-kit")
        peer_cpu_s, peer_peak_mib = _peer_cost(plan, plan.peer_python)
        own = fit_cost(plan.peer_timed_judgements, runs=plan.cost_runs, seed=plan.seed).cpu_s
    return AggregationMeasurement(
        costs=costs,
        order=order,
        peer_order=peer_order or None,
        peer_cpu_s=peer_cpu_s,
        peer_peak_mib=peer_peak_mib,
        own_cpu_s_beside_peer=own,
        kinds=kinds,
        minority=minority,
        mirror_gap=mirror_gap(panels[0]),
    )


def mirror_gap(world: World) -> float:
    """Largest difference between a fit's scores and those of two mirrored fits: every completion called by the other
    letter, and every answer turned round (which must turn the scores round)."""
    a, b, said, side = world.item_a, world.item_b, world.outcome, world.side
    scores = fit_jointly(cells_from(world.annotator, a, b, said, side)).scores
    renamed = fit_jointly(cells_from(world.annotator, b, a, -said, -side)).scores
    turned = fit_jointly(cells_from(world.annotator, a, b, -said, side)).scores
    return float(max(np.abs(renamed - scores).max(), np.abs(turned + scores).max()))


def _own_order(world: World) -> dict[str, float]:
    cells = world_cells(world)
    return {name: right_share(world, cells.item_a, cells.item_b, method(cells)) for name, method in OURS.items()}


def _peer_order(plan: AggregationPlan, python: Path, world: World) -> dict[str, float]:
    run = run_crowdkit(python, world, plan.peer_methods)
    return {name: right_share(world, run.first, run.second, said) for name, said in run.difference.items()}


def _peer_cost(plan: AggregationPlan, python: Path) -> tuple[dict[str, float], dict[str, float]]:
    """CPU seconds and peak MiB of each timed method, one process each."""
    world = usual(-(-plan.peer_timed_judgements // 30), plan.seed)
    runs = {name: run_crowdkit(python, world, (name,)) for name in TIMED if name in plan.peer_methods}
    return {name: run.cpu_s[name] for name, run in runs.items()}, {name: run.peak_mib for name, run in runs.items()}


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def best_peer(measured: AggregationMeasurement, world: str) -> float | None:
    """Share of right pairs of crowd-kit's best method in a world; None where it was not run."""
    return None if measured.peer_order is None else max(measured.peer_order[world].values())


def bars_of(measured: AggregationMeasurement) -> list[Bar]:
    """The claims, each with its number."""
    limits = {100_000: (0.5, 300.0), 1_000_000: (8.0, 1536.0)}
    bars = []
    for size, (seconds, mib) in limits.items():
        found = next((cost for cost in measured.costs if abs(cost.judgements - size) < 0.01 * size), None)
        sound = found if found is not None and found.converged else None
        name = f"{size:,} judgements, 200 annotators"
        bars.append(Bar(name, None if sound is None else sound.cpu_s, seconds, "at_most", "CPU s"))
        bars.append(Bar(f"{name}: peak", None if sound is None else sound.peak_mib, mib, "at_most", "MiB"))
    bars += [_speed_bar(measured, name, 15 if name == "BradleyTerry" else 30) for name in TIMED]
    leads = {world: _lead(measured, world) for world in measured.order}
    bars += [Bar(f"right pairs above crowd-kit's best, {w}", lead, -0.002, "at_least") for w, lead in leads.items()]
    known = [lead for lead in leads.values() if lead is not None]
    wins = float(sum(lead > 0 for lead in known)) if known else None
    bars.append(Bar("worlds in which more pairs are right", wins, 2, "at_least"))
    bars += [Bar(f"AUC of {kind} annotators, 50 judgements each", measured.kinds[kind], 0.95, "at_least")
             for kind in CLAIMED_KINDS]  # fmt: skip
    bars.append(Bar("homogeneous panels with a minority finding", measured.minority.false, 0.05, "at_most"))
    bars.append(Bar("power, 25 points, 20 members, topic of 10 pairs", measured.minority.power, 0.8, "at_least"))
    bars.append(Bar("largest difference of mirrored scores", measured.mirror_gap, 0.0, "at_most"))
    return bars


def _lead(measured: AggregationMeasurement, world: str) -> float | None:
    best = best_peer(measured, world)
    return None if best is None else measured.order[world]["joint"] - best


def _speed_bar(measured: AggregationMeasurement, name: str, times: float) -> Bar:
    theirs = (measured.peer_cpu_s or {}).get(name)
    own = measured.own_cpu_s_beside_peer
    ratio = None if theirs is None or own is None else theirs / own
    return Bar(f"CPU of crowd-kit's {name} over ours", ratio, times, "at_least")
