"""Curve: proxy and gold of one run against sqrt(KL). Takes measured checkpoints and gold scores, yields a Curve.

Everything is in standard deviations of the reference's own samples, with the reference at zero: the picture in which
over-optimisation shows (Gao, Schulman & Hilton 2022, 2210.10760). A diagnostic, never a gate.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from assay.evaluation.statistics import Floats
from assay.records.errors import InputError, explain
from assay.records.evidence import Curve, CurvePoint
from assay.records.policy import CheckpointRecord

KL, PROXY, LENGTH = "alignment/kl", "alignment/proxy_reward", "completions/mean_length"
"""Names of observed values that a curve reads."""

FALL = 0.1
"""How far gold must fall from its peak, in standard deviations of the reference, to count as a fall."""


NOTHING_GAINED = 0.01
"""A peak this close to the reference, in its standard deviations, is no gain that could be kept."""


class Scale(NamedTuple):
    """Mean and standard deviation of the reference's samples."""

    mean: float
    sd: float


def scale_of(scores: ArrayLike) -> Scale:
    """Scale of the reference's scores. Raises InputError with fewer than two, or when they are all the same."""
    values = np.asarray(scores, dtype=np.float64)
    if values.size < 2 or values.std(ddof=1) == 0:
        todo = "score more of the reference's completions"
        raise InputError(explain(expected="two or more different scores", got=f"{values.size} scores", do=todo))
    return Scale(float(values.mean()), float(values.std(ddof=1)))


def build_curve(
    checkpoints: Sequence[CheckpointRecord],
    gold: Mapping[int, ArrayLike] | None = None,
    *,
    policy: str,
    name: str,
    stop_step: int,
    gold_scale: Scale | None = None,
    proxy_scale: Scale | None = None,
    panel: Mapping[int, float] | None = None,
) -> Curve:
    """A run's curve. `gold` holds scores [samples] by step, `gold_scale` the reference's; `panel` win rates by step.

    Without `proxy_scale` the observed proxy is taken as it is, already in standard deviations of the reference.
    Raises InputError when the stop is not a checkpoint, an observation lacks a value, or gold has no scale.
    """
    _check(checkpoints, stop_step, has_gold=bool(gold), has_scale=gold_scale is not None)
    scale = proxy_scale or Scale(0.0, 1.0)
    points = []
    for checkpoint in sorted(checkpoints, key=lambda one: one.step):
        values = checkpoint.observation.values
        scores = None if not gold or checkpoint.step not in gold else np.asarray(gold[checkpoint.step], np.float64)
        standard = None if scores is None or gold_scale is None else (scores - gold_scale.mean) / gold_scale.sd
        points.append(
            CurvePoint(
                step=checkpoint.step,
                sqrt_kl=float(np.sqrt(max(0.0, values[KL]))),
                proxy=(values[PROXY] - scale.mean) / scale.sd,
                gold=None if standard is None else float(standard.mean()),
                gold_standard_error=None if standard is None else _standard_error(standard),
                panel=None if panel is None else panel.get(checkpoint.step),
                length=values[LENGTH],
            )
        )
    summary = summarise(points, stop_step)._asdict()
    return Curve(policy=policy, name=name, points=tuple(points), stop_step=stop_step, **summary)


class GoldSummary(NamedTuple):
    """What gold did along a path, in standard deviations of the reference."""

    peak_gold: float | None = None
    gold_at_stop: float | None = None
    final_gold: float | None = None
    kept: float | None = None
    falls_after_peak: bool | None = None


def summarise(points: Sequence[CurvePoint], stop_step: int) -> GoldSummary:
    """Peak, stop and end of gold along a path in the order of its steps.

    `kept` is gold at the stop over the best gold; None where the best is not above the reference, for then there was
    nothing to keep. `falls_after_peak` is true when the last gold is below the best by more than 0.1 and by more than
    one combined standard error; None with fewer than two gold points. The best of many noisy points is biased upwards,
    so a fall of about one standard error is a hint and no proof.
    """
    known = [point for point in points if point.gold is not None]
    if not known:
        return GoldSummary()
    best = max(known, key=_gold)
    at_stop = next((_gold(point) for point in known if point.step == stop_step), None)
    fall = _gold(best) - _gold(known[-1])
    error = float(np.hypot(best.gold_standard_error or 0.0, known[-1].gold_standard_error or 0.0))
    return GoldSummary(
        peak_gold=_gold(best),
        gold_at_stop=at_stop,
        final_gold=_gold(known[-1]),
        kept=None if at_stop is None or _gold(best) < NOTHING_GAINED else at_stop / _gold(best),
        falls_after_peak=None if len(known) < 2 else fall > max(FALL, error),
    )


def _gold(point: CurvePoint) -> float:
    return float("-inf") if point.gold is None else point.gold


def _standard_error(values: Floats) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else None


def _check(checkpoints: Sequence[CheckpointRecord], stop_step: int, *, has_gold: bool, has_scale: bool) -> None:
    faults = [
        f"step {one.step}: no value {name!r}"
        for one in checkpoints
        for name in (KL, PROXY, LENGTH)
        if name not in one.observation.values
    ]
    if stop_step not in {one.step for one in checkpoints}:
        faults.append(f"step {stop_step}: the run stopped there but did not measure it")
    if has_gold and not has_scale:
        faults.append("gold scores without the reference's gold scale")
    if faults:
        raise InputError("a curve cannot be drawn from these checkpoints; measure them again", faults)
