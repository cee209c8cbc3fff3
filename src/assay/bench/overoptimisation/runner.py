"""Runner: plays all seeds of all regimes over the machine's cores, one thread each.

Takes a plan; yields seed results by regime, in the order of seeds, whatever the number of cores.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from assay.bench.overoptimisation.measuring import measure_seed
from assay.bench.overoptimisation.outcomes import SeedResult
from assay.bench.overoptimisation.plan import Plan

SEEDS_A_TASK = 4
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class _Task(NamedTuple):
    plan: Plan
    regime: str
    seeds: tuple[int, ...]
    now: datetime


def run_plan(
    plan: Plan, *, workers: int, now: datetime, progress: Callable[[int], object] | None = None
) -> Mapping[str, list[SeedResult]]:
    """Play `plan.seeds` seeds of every regime; `progress` is told how many were played since it was last called.

    Workers are started afresh, with the linear algebra held to one thread each: several threads a worker take 25 times
    as long on matrices of this size.
    """
    seeds = range(plan.first_seed, plan.first_seed + plan.seeds)
    blocks = [tuple(seeds[at : at + SEEDS_A_TASK]) for at in range(0, len(seeds), SEEDS_A_TASK)]
    tasks = [_Task(plan, regime, block, now) for block in blocks for regime in plan.regimes]
    found: dict[str, list[SeedResult]] = {regime: [] for regime in plan.regimes}
    context = multiprocessing.get_context("spawn")
    with _one_thread(), ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context) as pool:
        running = {pool.submit(_play, task): task for task in tasks}
        try:
            for done in as_completed(running):
                task = running[done]
                found[task.regime] += done.result()
                if progress is not None:
                    progress(len(task.seeds))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {regime: sorted(results, key=lambda result: result.seed) for regime, results in found.items()}


def _play(task: _Task) -> list[SeedResult]:
    regime = task.plan.regimes[task.regime]
    return [measure_seed(task.plan.world, regime, task.plan.constants, seed=seed, now=task.now) for seed in task.seeds]


@contextmanager
def _one_thread() -> Iterator[None]:
    """The environment that new processes read their number of threads from."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
