"""Step size: rises over the warm-up, then stays or falls to zero."""

import pytest

from assay.lm.step_size import step_size_factor


def test_it_warms_up_and_falls():
    found = [step_size_factor(step, 10, warmup_ratio=0.2, kind="linear") for step in range(10)]
    assert found[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert found[-1] == pytest.approx(1 / 8)
    assert found[2:] == sorted(found[2:], reverse=True)


def test_without_warm_up_and_constant_it_is_one_at_every_step():
    assert {step_size_factor(step, 10, warmup_ratio=0.0, kind="constant") for step in range(10)} == {1.0}


def test_half_a_cosine_is_half_way_down_in_the_middle():
    found = [step_size_factor(step, 8, warmup_ratio=0.0, kind="cosine") for step in range(9)]
    assert found[0] == pytest.approx(1.0)
    assert found[2] == pytest.approx((1 + 2**-0.5) / 2)
    assert found[4] == pytest.approx(0.5)
    assert found[8] == pytest.approx(0.0, abs=1e-12)
