"""Constraints: the multiplier's arithmetic, its bounds and anti-windup, what is observed of it, exact resume."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.alignment.constraints import Constraint, Gains, Multiplier, constrained_advantages
from assay.records.errors import ConfigError, TrainingError

QUICK = settings(deadline=None, max_examples=40)

COST = Constraint("harm", limit=1.0)
INTEGRAL = Gains(k_p=0.0, k_i=0.5)


def seen(multiplier, *values):
    return [multiplier.update(value) for value in values]


def test_a_cost_above_its_limit_raises_the_multiplier_and_one_below_lowers_it_to_nought():
    multiplier = Multiplier(COST, INTEGRAL, start=0.25)
    assert seen(multiplier, 2.0, 2.0, 0.0, -3.0, -3.0) == pytest.approx([0.75, 1.25, 0.75, 0, 0])


def test_all_three_terms_equal_numbers_worked_by_hand():
    multiplier = Multiplier(COST, Gains(k_p=1.0, k_i=0.1, k_d=2.0))
    # v = 1: P 1, I 0.1, D 0; v = 2: P 2, I 0.3, D 2 x 1; v = 0.5: P 0.5, I 0.35, D 0 for it falls.
    assert seen(multiplier, 2.0, 3.0, 1.5) == pytest.approx([1.1, 4.3, 0.85])


def test_smoothing_mixes_the_past_into_proportional_and_derivative_terms():
    multiplier = Multiplier(COST, Gains(k_p=1.0, k_i=0.0, k_d=1.0, smoothing=0.75))
    # Smoothed: 1, then 0.75 + 0.25 x 5 = 2, a rise of 1.
    assert seen(multiplier, 2.0, 6.0) == pytest.approx([1.0, 3.0])


def test_at_least_turns_the_violation_round():
    assert Constraint("quality", 0.5, "at_least").violation(0.2) == pytest.approx(0.3)
    assert Multiplier(Constraint("quality", 0.5, "at_least"), INTEGRAL).update(0.1) == pytest.approx(0.2)


def test_a_multiplier_held_at_its_bound_comes_back_at_once():
    multiplier = Multiplier(COST, Gains(k_p=1.0, k_i=0.5), bound=3.0)
    held = seen(multiplier, *[9.0] * 50)
    assert held[-1] == 3.0
    # Were the integral wound up to the bound, it would still be 3 + 0.5 x -1 less 1.
    assert multiplier.update(0.0) == pytest.approx(0.0)


@QUICK
@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=30),
    st.floats(0, 5),
    st.floats(0.01, 5),
    st.floats(0, 5),
    st.floats(0, 0.95),
)
def test_the_multiplier_never_leaves_its_bounds_and_the_gap_is_never_negative(values, k_p, k_i, k_d, smoothing):
    multiplier = Multiplier(COST, Gains(k_p, k_i, k_d, smoothing), start=1.0, bound=4.0)
    for value in values:
        assert 0 <= multiplier.update(value) <= 4
        assert multiplier.dual_gap >= -1e-9
        assert 0 <= multiplier.oscillation <= 1


def test_the_dual_gap_is_nought_where_the_multiplier_is_the_best_answer():
    multiplier = Multiplier(COST, INTEGRAL, start=1.0, bound=4.0)
    assert multiplier.dual_gap == 0
    multiplier.update(1.0)
    assert multiplier.dual_gap == 0  # the limit is met exactly
    multiplier.update(0.5)
    assert multiplier.dual_gap == pytest.approx(0.75 * 0.5)  # a price on what is not scarce
    multiplier.update(2.0)
    assert multiplier.dual_gap == pytest.approx((4.0 - 1.25) * 1.0)
    seen(multiplier, *[2.0] * 9)
    assert multiplier.dual_gap == 0


def test_a_swinging_multiplier_is_seen_and_a_steady_one_is_not():
    swinging, steady = Multiplier(COST, INTEGRAL, start=2.0), Multiplier(COST, INTEGRAL, start=2.0)
    seen(swinging, *[2.0, 0.0] * 5)
    seen(steady, *[1.2] * 10)
    assert swinging.observed()["constraints/harm/oscillation"] == 1.0
    assert steady.observed()["constraints/harm/oscillation"] == 0.0


def test_a_limit_that_cannot_be_met_is_seen_as_updates_at_the_bound():
    multiplier = Multiplier(COST, INTEGRAL, bound=1.0)
    seen(multiplier, *[2.0] * 5)
    observed = multiplier.observed()
    assert observed["constraints/harm/at_bound"] == 4
    assert observed["constraints/harm/multiplier"] == 1.0
    assert observed["constraints/harm/violation"] == pytest.approx(1.0)
    multiplier.update(1.0)
    assert multiplier.observed()["constraints/harm/at_bound"] == 0


def test_on_a_problem_with_a_known_answer_the_multiplier_finds_the_price():
    # Maximise -(x - 3)^2 with x <= 1: the price at x = 1 is 4, and the policy's answer to a price m is 3 - m/2.
    multiplier = Multiplier(Constraint("x", 1.0), Gains(k_p=0.5, k_i=0.3))
    for _ in range(80):
        multiplier.update(3 - multiplier.value / 2)
    assert multiplier.value == pytest.approx(4.0, abs=1e-3)
    assert multiplier.dual_gap == pytest.approx(0.0, abs=1e-2)


@QUICK
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12), st.integers(1, 11))
def test_a_restored_multiplier_goes_on_exactly(values, cut):
    gains = Gains(0.7, 0.3, 0.4, 0.5)
    whole, first, second = (Multiplier(COST, gains, bound=3.0) for _ in range(3))
    seen(whole, *values)
    seen(first, *values[:cut])
    second.restore(json.loads(json.dumps(first.state())))
    seen(second, *values[cut:])
    assert second.state() == whole.state()
    assert second.observed() == whole.observed()


def test_a_value_that_is_not_finite_moves_nothing():
    multiplier = Multiplier(COST, INTEGRAL, start=1.0)
    before = multiplier.state()
    for value in (float("nan"), float("inf")):
        with pytest.raises(TrainingError, match="a finite value of harm"):
            multiplier.update(value)
    assert multiplier.state() == before


@pytest.mark.parametrize(
    ("gains", "start"), [(Gains(-1.0, 0.1), 0.0), (Gains(0.0, 0.0), 0.0), (Gains(smoothing=1.0), 0.0), (Gains(), 11.0)]
)
def test_gains_and_bounds_that_cannot_work_are_refused(gains, start):
    with pytest.raises(ConfigError, match="mend the settings of harm"):
        Multiplier(COST, gains, start=start)


def test_costs_are_priced_in_and_the_step_size_is_kept():
    reward, cost = np.array([1.0, -1.0]), np.array([2.0, 0.0])
    assert constrained_advantages(reward, [cost], multipliers=[1.0]) == pytest.approx([-0.5, -0.5])
    assert constrained_advantages(reward, [cost], multipliers=[0.0]) == pytest.approx(reward)
    assert constrained_advantages(reward, [cost], multipliers=[1e9]) == pytest.approx(-cost, abs=1e-6)
