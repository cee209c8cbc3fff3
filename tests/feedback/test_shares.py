"""Shares and gaps: Wilson's interval and the normal one by hand, and nothing claimed of too little."""

import pytest

from assay.feedback.shares import Share, gap_of, share_of


def test_an_interval_is_wilsons():
    low, high = Share(8, 10).interval
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert Share(0, 0).value is None
    assert Share(0, 0).interval == (0.0, 1.0)
    assert Share(3, 3).interval[1] == pytest.approx(1.0)


def test_a_share_counts_what_is_true():
    assert share_of([True, False, True]) == (2, 3)
    assert share_of([]) == (0, 0)


def test_a_gap_is_a_mean_with_its_half_width_where_there_are_two():
    # Mean 1/2, s.d. sqrt(1/2), so 1.96 sqrt(1/2) / sqrt(2).
    assert gap_of([0.0, 1.0]) == (0.5, pytest.approx(0.98, abs=1e-3), 2)
    assert gap_of([0.25]) == (0.25, None, 1)
    assert gap_of([]) == (None, None, 0)
