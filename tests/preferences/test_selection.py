"""Selection: information and conditioning by their closed forms, the random arm as declared, ground not asked twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.preferences.selection import SelectionPlan, select
from assay.records.errors import InputError

PLAN = SelectionPlan(4, random_share=0.25)


def pool(rng, rows=40, members=5, width=3):
    return rng.normal(size=(rows, members)), rng.normal(size=(rows, width))


def test_information_is_that_of_one_answer_on_a_gaussian_margin():
    margins = np.array([[1.0, 3.0], [0.0, 0.0]])
    (pick,) = select(margins[:1], np.zeros((1, 1)), plan=SelectionPlan(1), rng=np.random.default_rng(0))
    p = (1 / (1 + np.exp(-1.0)) + 1 / (1 + np.exp(-3.0))) / 2
    # two members one apart from their mean: variance 2 with one degree of freedom
    assert pick.information == pytest.approx(0.5 * np.log(1 + p * (1 - p) * 2.0))
    (pick,) = select(margins[1:], np.zeros((1, 1)), plan=SelectionPlan(1), rng=np.random.default_rng(0))
    assert pick.information == 0


def test_what_members_do_not_know_by_themselves_adds_to_what_they_differ_by():
    margins, within = np.array([[1.0, 3.0]]), np.array([[0.6, 0.8]])
    (pick,) = select(margins, np.zeros((1, 1)), plan=SelectionPlan(1), rng=np.random.default_rng(0), within=within)
    p = (1 / (1 + np.exp(-1.0)) + 1 / (1 + np.exp(-3.0))) / 2
    assert pick.information == pytest.approx(0.5 * np.log(1 + p * (1 - p) * (2.0 + 1.0)))
    with pytest.raises(InputError, match="factors"):
        select(margins, np.zeros((1, 1)), plan=SelectionPlan(1), rng=np.random.default_rng(0), within=within[:0])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_a_pick_is_charged_for_what_the_picks_before_it_will_have_taught(seed):
    rng = np.random.default_rng(seed)
    margins, about = pool(rng, rows=12)
    picks = select(margins, about, plan=SelectionPlan(12, random_share=0.1), rng=rng)
    covariance = np.cov(margins)
    chance = (1 / (1 + np.exp(-margins))).mean(1)
    weight = chance * (1 - chance)
    for pick in picks:
        j, variance = pick.row, covariance[pick.row, pick.row]
        assert pick.information == pytest.approx(0.5 * np.log1p(weight[j] * variance), abs=1e-9)
        gain = weight[j] / (1 + weight[j] * variance)
        covariance = covariance - gain * np.outer(covariance[:, j], covariance[j])
    # The chain rule: together they teach what the determinant says, whatever the order.
    root = np.sqrt(weight)
    whole = np.linalg.slogdet(np.eye(12) + root[:, None] * np.cov(margins) * root)[1] / 2
    assert sum(pick.information for pick in picks) == pytest.approx(whole)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.floats(0.01, 1.0))
def test_every_pick_is_another_row_and_the_share_drawn_at_random_is_the_declared_one(seed, count, share):
    rng = np.random.default_rng(seed)
    margins, about = pool(rng, rows=30)
    picks = select(margins, about, plan=SelectionPlan(count, random_share=share), rng=rng)
    assert len({pick.row for pick in picks}) == count
    drawn = [pick for pick in picks if pick.arm == "random"]
    assert len(drawn) == max(1, round(share * count))
    assert {pick.propensity for pick in drawn} == {len(drawn) / 30}
    assert all(pick.propensity is None for pick in picks if pick.arm == "informative")


def test_the_random_arm_is_an_unbiased_sample_of_the_pool_and_the_other_arm_is_not():
    rng = np.random.default_rng(3)
    margins, about = pool(rng, rows=50)
    spread = margins.var(1)
    sampled = {"random": [], "informative": []}
    for seed in range(400):
        for pick in select(margins, about, plan=SelectionPlan(8, random_share=0.5), rng=np.random.default_rng(seed)):
            sampled[pick.arm].append(spread[pick.row])
    error = spread.std() / np.sqrt(len(sampled["random"]))
    assert abs(np.mean(sampled["random"]) - spread.mean()) < 4 * error
    assert np.mean(sampled["informative"]) > spread.mean() + 20 * error


def test_a_pair_on_which_the_members_differ_comes_before_those_on_which_they_agree():
    margins = np.zeros((6, 4))
    margins[4] = [-2, 2, -2, 2]
    picks = select(margins, np.arange(6.0)[:, None], plan=SelectionPlan(3, 0.34, diversity=0.0), rng=_first_is(0))
    assert [pick.row for pick in picks][1] == 4


def test_a_batch_does_not_ask_the_same_thing_twice():
    # Rows 1 and 2 are copies; row 3 teaches a little less than either, and something else.
    margins = np.array([[0, 0, 0, 0], [-2, 2, -2, 2], [-2, 2, -2, 2], [-1.5, -1.5, 1.5, 1.5]], dtype=float)
    plan = SelectionPlan(3, 0.34, diversity=0.0)
    assert [pick.row for pick in select(margins, np.zeros((4, 1)), plan=plan, rng=_first_is(0))] == [0, 1, 3]


def test_ground_that_was_asked_about_is_passed_over_where_all_else_is_even():
    margins = np.tile([-1.0, 1.0], (6, 1))
    about = np.array([[0.0], [0.1], [0.2], [10.0], [10.1], [10.2]])
    asked = np.array([[0.05], [0.15], [0.12]])
    plan = SelectionPlan(2, 0.5, diversity=1.0, neighbours=2)
    picks = select(margins, about, plan=plan, rng=_first_is(0), asked=asked)
    assert picks[1].row >= 3


def test_copies_of_one_prompt_leave_finite_worths():
    picks = select(np.ones((5, 3)), np.zeros((5, 2)), plan=PLAN, rng=np.random.default_rng(0))
    assert len({pick.row for pick in picks}) == 4


def test_all_faults_of_a_pool_are_told_together():
    margins, about = pool(np.random.default_rng(0), rows=3)
    plan = SelectionPlan(4, random_share=0.0, diversity=-1.0)
    with pytest.raises(InputError, match=r"4 picks from a pool of 3; a random share of 0.*diversity -1.*not finite"):
        select(margins * np.nan, about, plan=plan, rng=np.random.default_rng(0))


def _first_is(row):
    """A generator whose random draw is this row."""

    class Fixed:
        def choice(self, count, size, replace):
            assert size == 1 and not replace and count > row
            return np.array([row])

    return Fixed()
