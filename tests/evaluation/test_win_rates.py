"""Statistics: hand-worked intervals, coverage by enumeration, planted length bias, agreement."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluation.statistics import (
    bootstrap,
    clopper_pearson,
    krippendorff_alpha,
    length_adjusted_win_rate,
    majority,
    paired_standard_error,
    pairwise_agreement,
    win_rate,
)
from assay.records.errors import InputError


def test_clopper_pearson_gives_the_tabled_values():
    assert clopper_pearson(0, 10) == pytest.approx((0.0, 0.3085), abs=5e-5)
    assert clopper_pearson(10, 10) == pytest.approx((0.6915, 1.0), abs=5e-5)
    assert clopper_pearson(5, 10) == pytest.approx((0.1871, 0.8129), abs=5e-5)
    assert clopper_pearson(0, 10).high == pytest.approx(1 - 0.025 ** (1 / 10))


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(InputError, match="successes between 0 and n"):
        clopper_pearson(k, n)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, 2 * n), st.just(n))))
def test_the_interval_holds_the_value_mirrors_and_has_width(case):
    k, n = case[0] / 2, case[1]
    low, high = clopper_pearson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert high > low
    assert clopper_pearson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_a_tie_is_half_a_win():
    estimate = win_rate([1, 1, 0, 0.5])
    assert estimate.value == 0.625
    assert estimate.n == 4
    all_ties = win_rate([0.5] * 10)
    assert (all_ties.value, all_ties.low, all_ties.high) == pytest.approx((0.5, 0.1871, 0.8129), abs=5e-5)


@pytest.mark.parametrize("n", [4, 9])
def test_the_interval_with_ties_covers_at_least_as_often_as_it_says(n):
    """Exact coverage over all trinomial outcomes, for a grid of chances to win and to tie."""
    for win in np.arange(0.02, 1, 0.07):
        for tie in np.arange(0.0, 1 - win + 1e-9, 0.11):
            lose = max(0.0, 1 - win - tie)
            covered = 0.0
            for wins in range(n + 1):
                for ties in range(n + 1 - wins):
                    losses = n - wins - ties
                    ways = math.comb(n, wins) * math.comb(n - wins, ties)
                    low, high = clopper_pearson(wins + ties / 2, n)
                    covered += ways * win**wins * tie**ties * lose**losses * (low <= win + tie / 2 <= high)
            assert covered >= 0.95, (win, tie)


def test_the_bootstrap_follows_its_generator_and_matches_the_normal_interval():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    one = bootstrap(values, np.mean, rng=np.random.default_rng(1))
    assert one == bootstrap(values, np.mean, rng=np.random.default_rng(1))
    half = 1.96 * values.std(ddof=1) / 20
    assert (one.low, one.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.04)


def test_a_rater_that_only_likes_length_is_brought_back_to_one_half():
    rng = np.random.default_rng(2)
    ratio = rng.normal(0.4, 0.5, 800)
    reference = np.full(800, 50.0)
    policy = np.round(50 * np.exp(ratio))
    outcomes = (rng.random(800) < 1 / (1 + np.exp(-4 * ratio))).astype(float)
    assert win_rate(outcomes).low > 0.65
    adjusted = length_adjusted_win_rate(outcomes, policy, reference)
    assert adjusted.low < 0.5 < adjusted.high
    assert adjusted.value == pytest.approx(0.5, abs=0.07)


def test_a_true_gain_survives_the_adjustment():
    rng = np.random.default_rng(3)
    ratio = rng.normal(0.0, 0.5, 800)
    outcomes = (rng.random(800) < 1 / (1 + np.exp(-(0.85 + 2 * ratio)))).astype(float)
    adjusted = length_adjusted_win_rate(outcomes, 50 * np.exp(ratio), np.full(800, 50.0))
    assert adjusted.value == pytest.approx(0.70, abs=0.05)
    assert adjusted.low > 0.6


def test_where_longer_always_won_the_adjusted_interval_admits_that_it_cannot_tell():
    adjusted = length_adjusted_win_rate([1.0] * 40, [100.0] * 40, [50.0] * 40)
    assert adjusted.low < 0.5
    assert adjusted.high > 0.97


def test_equal_lengths_leave_the_exact_interval():
    adjusted = length_adjusted_win_rate([1.0] * 10, [7.0] * 10, [7.0] * 10)
    assert (adjusted.low, adjusted.high) == pytest.approx((0.6915, 1.0), abs=5e-5)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 200), st.integers(1, 200)), min_size=1))
def test_swapping_policy_and_reference_mirrors_the_adjusted_rate(rows):
    y, ours, theirs = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    one, other = length_adjusted_win_rate(y, ours, theirs), length_adjusted_win_rate(1 - y, theirs, ours)
    mirrored = (1 - other.value, 1 - other.high, 1 - other.low)
    assert (one.value, one.low, one.high) == pytest.approx(mirrored, abs=1e-6)


def test_agreement_of_two_raters_is_worked_by_hand():
    verdicts = [[1, 0, 1, 0.5], [1, 1, 1, 0.5], [0, 1, 0, 0.5]]
    agreement = pairwise_agreement(verdicts)
    assert agreement[0, 1] == 0.75
    assert agreement[0, 2] == 0.25
    assert agreement[1, 1] == 1.0
    assert majority(verdicts).tolist() == [1, 1, 1, 0.5]


def test_krippendorffs_alpha_is_worked_by_hand():
    # Two raters, values 1 1 / 0 0 / 1 0: disagreement within 1/3; among all 15 pairs of six values 9 differ: 9/15.
    assert krippendorff_alpha([[1, 0, 1], [1, 0, 0]]) == pytest.approx(1 - (1 / 3) / (9 / 15))
    assert krippendorff_alpha([[1, 0, 1, 0], [1, 0, 1, 0]]) == 1.0
    assert krippendorff_alpha([[1, 0, 1, 0], [0, 1, 0, 1]]) < 0
    assert krippendorff_alpha([[1, 1], [1, 1]]) == 1.0
    assert krippendorff_alpha([[1, 0, 1]]) is None


def test_a_paired_error_sees_only_the_differences():
    assert paired_standard_error([1.0, 11.0, 101.0], [0.0, 10.0, 100.0]) == 0.0
    assert paired_standard_error([2.0, 0.0], [0.0, 0.0]) == 1.0
    assert paired_standard_error([2.0], [0.0]) == float("inf")
