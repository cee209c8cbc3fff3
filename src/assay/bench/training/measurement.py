"""Measurement: everything that `assay bench training` measures, put together, and the bars that it is held to.

Ours and TRL take the same steps: the same pairs in the same order from the same adapter, float32, as many threads. A
speed-up is the median over steps of TRL's CPU seconds over ours on that very step; the first step, which warms up, is
left out.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.bench.bars import Bar
from assay.bench.training.job import Told
from assay.bench.training.running import DEFAULTS, MICRO, NO_KL, OURS, TUNED, Bench, TrainingPlan

MICRO_LIMIT = 1.8
MEMORY_LIMIT = 0.6
LOSS_LIMIT = 1e-3
CACHED_LIMIT = 2.0
REWARD_LIMIT = 2.0
GRPO_LIMIT = 2.0


class TrainingMeasurement(NamedTuple):
    """What each run told: DPO by pairs a step and row, reward and GRPO by row, two epochs of DPO on the top layers."""

    dpo: dict[int, dict[str, Told]]
    reward: dict[str, Told]
    two_epochs: Told
    grpo: dict[str, Told]


def bench_training(
    plan: TrainingPlan, *, scratch: Path, now: datetime, said: Callable[[str], object] = lambda _: None
) -> TrainingMeasurement:
    """Measure; `said` hears what is being run. Raises ModelError, InputError or ConfigError as its parts do."""
    bench = Bench(plan, scratch=scratch, now=now, said=said)
    return TrainingMeasurement(
        dpo={size.pairs: bench.side_by_side("dpo", size) for size in plan.dpo},
        reward=bench.side_by_side("reward", plan.reward),
        two_epochs=bench.two_epochs(plan.cached),
        grpo=bench.sampled(plan.grpo),
    )


def bars_of(measured: TrainingMeasurement) -> list[Bar]:
    """The bars; those beside TRL are not measured where TRL was not run, nor those of a size that was not."""
    small, large = (measured.dpo.get(pairs, {}) for pairs in (2, 8))
    sides = list(measured.dpo.values())
    return [
        Bar("DPO, 2 pairs a step, against TRL tuned", speed_up(small, TUNED), 2.2, "at_least", "x"),
        Bar("DPO, 2 pairs a step, against TRL defaults", speed_up(small, DEFAULTS), 3.3, "at_least", "x"),
        Bar("DPO, 8 pairs a step, against TRL tuned", speed_up(large, TUNED), 3.0, "at_least", "x"),
        Bar("DPO, 8 pairs a step, against TRL defaults", speed_up(large, DEFAULTS), 5.0, "at_least", "x"),
        Bar(
            "DPO against TRL at micro-batch 1, worst",
            _least(speed_up(s, MICRO) for s in sides),
            MICRO_LIMIT,
            "at_least",
            "x",
        ),
        Bar("peak memory over TRL tuned, worst", _most(memory_share(s) for s in sides), MEMORY_LIMIT, "at_most"),
        Bar("loss beside TRL's, worst step", _most(loss_gap(s) for s in sides), LOSS_LIMIT, "at_most", "relative"),
        Bar(
            "second epoch over the first, top layers", second_epoch(measured.two_epochs), CACHED_LIMIT, "at_least", "x"
        ),
        Bar("reward training against TRL tuned", speed_up(measured.reward, TUNED), REWARD_LIMIT, "at_least", "x"),
        Bar("GRPO, whole step, against TRL tuned", speed_up(measured.grpo, TUNED), GRPO_LIMIT, "at_least", "x"),
        Bar("GRPO, whole step, against TRL without KL", speed_up(measured.grpo, NO_KL), GRPO_LIMIT, "at_least", "x"),
    ]


def speed_up(rows: Mapping[str, Told], peer: str) -> float | None:
    """Median over steps of the peer's CPU seconds over ours, the first step aside; None where it was not run."""
    if peer not in rows:
        return None
    return float(np.median(np.divide(rows[peer].step_cpu_s, rows[OURS].step_cpu_s)[1:]))


def memory_share(rows: Mapping[str, Told]) -> float | None:
    """Our peak memory over TRL tuned's, libraries and model in both."""
    return rows[OURS].peak_mib / rows[TUNED].peak_mib if TUNED in rows else None


def loss_gap(rows: Mapping[str, Told]) -> float | None:
    """Largest relative difference of a step's loss from TRL tuned's."""
    if TUNED not in rows:
        return None
    ours, theirs = np.array(rows[OURS].losses), np.array(rows[TUNED].losses)
    return float(np.max(np.abs(ours - theirs) / np.abs(theirs)))


def second_epoch(told: Told) -> float:
    """CPU seconds of the first epoch, the reference's pass in it, over those of the second."""
    half = len(told.step_cpu_s) // 2
    return (told.before_cpu_s + sum(told.step_cpu_s[:half])) / sum(told.step_cpu_s[half:])


def _least(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None


def _most(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None
