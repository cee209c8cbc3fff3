"""Paths: exact against the product's estimator and a direct exponential, indifferent to order, sampled as weighted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bench.overoptimisation import paths
from assay.bench.overoptimisation.outcomes import onset, outcome
from assay.rewards.best_of_n import best_of_n_kl, best_of_n_weights

RNG = np.random.default_rng(0)
REWARDS = RNG.normal(size=(5, 32))
SCORES = RNG.normal(size=(5, 32, 2))


@pytest.mark.parametrize("n", [1, 2, 7, 32])
def test_best_of_n_equals_the_weights_of_the_product(n):
    path = paths.best_of_n(paths.rank(REWARDS), SCORES)
    weights = best_of_n_weights(REWARDS, n)
    np.testing.assert_allclose(path.means[n - 1], np.einsum("pn,pnk->k", weights, SCORES) / 5, atol=1e-12)
    assert path.kl[n - 1] == pytest.approx(best_of_n_kl(n))


def test_equal_rewards_share_as_in_the_product():
    rewards = np.array([[0.0, 1.0, 1.0, 1.0, 2.0, 0.0]])
    scores = RNG.normal(size=(1, 6, 1))
    path = paths.best_of_n(paths.rank(rewards), scores)
    for n in range(1, 7):
        expected = (best_of_n_weights(rewards, n) * scores[..., 0]).sum()
        assert path.means[n - 1, 0] == pytest.approx(expected)


@given(st.permutations(range(32)))
def test_the_order_of_candidates_changes_no_path(order):
    plain, mixed = (
        paths.best_of_n(paths.rank(r), s) for r, s in ((REWARDS, SCORES), (REWARDS[:, order], SCORES[:, order]))
    )
    np.testing.assert_allclose(plain.means, mixed.means, atol=1e-12)
    tilted = [paths.tilt(r, s) for r, s in ((REWARDS, SCORES), (REWARDS[:, order], SCORES[:, order]))]
    np.testing.assert_allclose(tilted[0].means, tilted[1].means, atol=1e-5)


def test_choosing_by_gold_is_the_oracle_and_never_gets_worse():
    gold = SCORES[..., 0]
    means = paths.best_of_n(paths.rank(gold), gold[..., None]).means[:, 0]
    assert np.all(np.diff(means) > 0)
    assert means[-1] == pytest.approx(gold.max(1).mean())


def test_the_tilt_by_squares_equals_a_direct_exponential():
    path = paths.tilt(REWARDS, SCORES)
    weights = np.exp((REWARDS - REWARDS.max(1, keepdims=True)) / paths.tilt_strengths()[:, None, None])
    direct = paths.weighted(weights / weights.sum(2, keepdims=True), SCORES)
    np.testing.assert_allclose(path.means, direct.means, atol=1e-4)
    np.testing.assert_allclose(path.kl, direct.kl, atol=1e-4)
    assert np.all(np.diff(path.kl) > 0)


def test_the_tilt_maximises_reward_less_kl():
    path, strengths = paths.tilt(REWARDS, REWARDS[..., None]), paths.tilt_strengths()
    for c, strength in enumerate(strengths[:-1]):
        assert (path.means[:, 0] - strength * path.kl).argmax() == c


def test_the_kl_of_weights_has_its_known_values():
    uniform, one_of_four = np.full((1, 2, 4), 0.25), np.eye(4)[None, :2]
    assert paths.weighted_kl(uniform) == pytest.approx([0.0])
    assert paths.weighted_kl(one_of_four) == pytest.approx([np.log(4)])


@pytest.mark.parametrize("n", [1, 4, 32])
def test_samples_come_as_often_as_they_weigh(n):
    drawn = paths.sample_best_of_n(paths.rank(REWARDS), np.array([n]), per_prompt=20000, rng=np.random.default_rng(2))
    for prompt, weights in enumerate(best_of_n_weights(REWARDS, n)):
        shares = np.bincount(drawn[0, prompt], minlength=32) / 20000
        np.testing.assert_allclose(shares, weights, atol=0.015)


def test_the_grid_runs_from_one_to_all_two_an_octave():
    np.testing.assert_array_equal(paths.n_grid(16), [1, 2, 3, 4, 6, 8, 11, 16])
    assert paths.n_grid(1024)[-1] == 1024
    assert len(paths.n_grid(1024)) == 20


@pytest.mark.parametrize(
    ("gold", "expected"),
    [([0, 1, 2, 3], -1), ([0, 1, 0.95, 0.91], -1), ([0, 1, 0.95, 0.8], 3), ([0, -1, 0.5, 0.6], -1), ([0, -1], 1)],
)
def test_onset_is_the_first_fall_after_the_peak(gold, expected):
    assert onset(np.array(gold)) == expected


def test_an_outcome_counts_hacks_against_the_base_policy_where_it_stops():
    scores = np.zeros((1, 4, 5))
    scores[0, :, 0] = [0.0, 1.0, 3.0, 2.0]
    scores[0, :, 1:] = [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]]
    path = paths.best_of_n(paths.rank(np.array([[0.0, 1.0, 2.0, 3.0]])), scores)
    end = outcome(path)
    assert (end.at_stop, end.stop, end.final) == pytest.approx((2.0, 4, 2.0))
    assert end.prevalence == pytest.approx((0.0, 0.0, 0.0, 2.0))
    assert end.peak == pytest.approx(path.means[:, 0].max())
    first = outcome(path, stop=0)
    assert (first.at_stop, first.stop) == pytest.approx((1.5, 1))
    assert first.prevalence == pytest.approx((1.0, 0.0, 0.0, 1.0))
    assert end.stopped_at_peak().at_stop == end.peak
