"""Curve: arithmetic by hand, and what peaks, stops and falls mean."""

import numpy as np
import pytest

from assay.evaluation.curve import Scale, build_curve, scale_of, summarise
from assay.records.errors import InputError
from assay.records.evidence import CurvePoint
from assay.records.observation import Observation
from assay.records.policy import CheckpointRecord


def point(step: int, gold: float | None, error: float | None = 0.01) -> CurvePoint:
    return CurvePoint(step=step, sqrt_kl=step, proxy=step, gold=gold, gold_standard_error=error, length=10)


def checkpoint(step: int, **values: float) -> CheckpointRecord:
    named = {"alignment/kl": 4.0, "alignment/proxy_reward": 5.0, "completions/mean_length": 20.0}
    named.update({key.replace("__", "/"): value for key, value in values.items()})
    return CheckpointRecord(step=step, adapter=None, observation=Observation(step=step, values=named))


def test_values_stand_in_standard_deviations_of_the_reference():
    scale = scale_of([1.0, 3.0])
    assert scale == (2.0, pytest.approx(np.sqrt(2)))
    curve = build_curve(
        [checkpoint(10), checkpoint(0, alignment__kl=0.0, alignment__proxy_reward=1.0)],
        {0: [1.0, 3.0], 10: [3.0, 5.0]},
        policy="p",
        name="guarded",
        stop_step=10,
        gold_scale=Scale(2.0, 2.0),
        proxy_scale=Scale(1.0, 4.0),
        panel={10: 0.6},
    )
    first, last = curve.points
    assert (first.step, first.sqrt_kl, first.proxy, first.gold, first.panel) == (0, 0.0, 0.0, 0.0, None)
    assert (last.step, last.sqrt_kl, last.proxy, last.gold, last.panel) == (10, 2.0, 1.0, 1.0, 0.6)
    assert last.gold_standard_error == pytest.approx(np.sqrt(2) / np.sqrt(2) / 2.0)
    assert (curve.peak_gold, curve.gold_at_stop, curve.kept, curve.falls_after_peak) == (1.0, 1.0, 1.0, False)


def test_what_is_kept_is_gold_at_the_stop_over_the_best():
    summary = summarise([point(0, 0.0), point(1, 0.8), point(2, 0.6), point(3, -0.2)], stop_step=2)
    assert summary == (0.8, 0.6, -0.2, pytest.approx(0.75), True)


@pytest.mark.parametrize(
    ("final", "error", "falls"),
    [(0.45, 0.01, False), (0.35, 0.01, True), (0.35, 0.2, False), (0.35, 0.1, True), (0.5, 0.0, False)],
)
def test_a_fall_must_pass_a_tenth_and_one_combined_error(final, error, falls):
    # The fall is 0.15 at most, from 0.5; two errors of 0.1 combine to 0.141, two of 0.2 to 0.283.
    assert summarise([point(0, 0.0), point(1, 0.5, error), point(2, final, error)], 1).falls_after_peak is falls


def test_a_path_that_never_rose_has_nothing_to_keep():
    summary = summarise([point(0, 0.0), point(1, -0.3)], stop_step=1)
    assert summary.peak_gold == 0.0
    assert summary.kept is None
    assert summary.falls_after_peak is True


def test_without_gold_nothing_is_claimed():
    curve = build_curve([checkpoint(0), checkpoint(5)], policy="p", name="n", stop_step=5)
    assert (curve.peak_gold, curve.gold_at_stop, curve.kept, curve.falls_after_peak) == (None, None, None, None)
    assert curve.points[0].proxy == 5.0
    assert summarise([point(0, 0.1), point(1, None)], stop_step=1).gold_at_stop is None
    assert summarise([point(0, 0.1)], stop_step=0).falls_after_peak is None


def test_a_negative_estimate_of_kl_is_drawn_at_zero():
    curve = build_curve([checkpoint(0, alignment__kl=-0.01)], policy="p", name="n", stop_step=0)
    assert curve.points[0].sqrt_kl == 0.0


def test_all_faults_of_a_path_are_told_together():
    bare = CheckpointRecord(step=3, adapter=None, observation=Observation(step=3, values={"alignment/kl": 1.0}))
    with pytest.raises(InputError) as caught:
        build_curve([checkpoint(0), bare], {0: [1.0]}, policy="p", name="n", stop_step=9)
    assert len(caught.value.faults) == 4


@pytest.mark.parametrize("scores", [[], [1.0], [2.0, 2.0]])
def test_a_scale_needs_two_different_scores(scores):
    with pytest.raises(InputError, match="two or more different scores"):
        scale_of(scores)
