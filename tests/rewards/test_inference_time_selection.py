"""Inference-time selection: every rule gives distributions, is indifferent to order, and has its known limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad

from assay.records.errors import ConfigError, InputError
from assay.rewards.best_of_n import best_of_n_kl, best_of_n_weights
from assay.rewards.inference_time import (
    SELECTIONS,
    best_of_poisson_kl,
    best_of_poisson_weights,
    expected,
    selection_kl,
    soft_best_of_n_weights,
)

REWARDS = arrays(np.float64, (2, 6), elements=st.floats(-5, 5).map(lambda value: round(value, 2)))
KNOBS = st.floats(1, 6)
UNIFORM = np.full((2, 6), 1 / 6)


def share_of_the_best(rewards):
    is_best = rewards == rewards.max(1, keepdims=True)
    return is_best / is_best.sum(1, keepdims=True)


@pytest.mark.parametrize("name", sorted(SELECTIONS))
@settings(max_examples=40)
@given(rewards=REWARDS, knob=KNOBS)
def test_every_rule_gives_a_distribution_that_never_lowers_the_reward(name, rewards, knob):
    weights = SELECTIONS[name](rewards, knob)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-9)
    assert (expected(weights, rewards) >= rewards.mean(1) - 1e-9).all()
    assert (selection_kl(weights) <= np.log(6) + 1e-9).all() and (selection_kl(weights) >= -1e-9).all()


@pytest.mark.parametrize("name", sorted(SELECTIONS))
@settings(max_examples=40)
@given(rewards=REWARDS, knob=KNOBS, order=st.permutations(range(6)))
def test_every_rule_goes_with_the_candidates_when_they_are_reordered(name, rewards, knob, order):
    rule = SELECTIONS[name]
    np.testing.assert_allclose(rule(rewards[:, order], knob), rule(rewards, knob)[:, order], atol=1e-9)


@pytest.mark.parametrize("name", sorted(SELECTIONS))
@settings(max_examples=40)
@given(rewards=REWARDS, knob=KNOBS, shift=st.floats(-100, 100))
def test_no_rule_sees_a_constant_added_to_all_rewards(name, rewards, knob, shift):
    rule = SELECTIONS[name]
    rounded = np.round(rewards, 2) + np.round(shift, 2)
    np.testing.assert_allclose(rule(np.round(rounded, 2), knob), rule(rewards, knob), atol=1e-7)


@pytest.mark.parametrize("name", sorted(SELECTIONS))
def test_prompts_do_not_touch_each_other(name):
    rewards = np.random.default_rng(0).normal(size=(3, 5))
    together = SELECTIONS[name](rewards, 2.0)
    alone = np.concatenate([SELECTIONS[name](row[None], 2.0) for row in rewards])
    np.testing.assert_allclose(together, alone, atol=1e-12)


@settings(max_examples=40)
@given(rewards=REWARDS)
def test_soft_best_of_n_runs_from_the_base_to_the_best_of_all(rewards):
    np.testing.assert_allclose(soft_best_of_n_weights(rewards, 1e12), UNIFORM, atol=1e-9)
    np.testing.assert_allclose(soft_best_of_n_weights(rewards, 1e-4), share_of_the_best(rewards), atol=1e-9)


def test_soft_best_of_n_has_hand_worked_weights():
    weights = soft_best_of_n_weights(np.array([[0.0, np.log(2.0), np.log(5.0)]]), 1.0)
    np.testing.assert_allclose(weights, [[1 / 8, 2 / 8, 5 / 8]])
    np.testing.assert_allclose(soft_best_of_n_weights(np.array([[0.0, np.log(9.0)]]), 2.0), [[1 / 4, 3 / 4]])
    np.testing.assert_array_equal(soft_best_of_n_weights(np.array([[0.0, 1.0]]), 1e-320), [[0, 1]])


def test_soft_best_of_n_is_the_optimum_of_reward_less_temperature_times_kl():
    rng = np.random.default_rng(1)
    rewards, temperature = rng.normal(size=(1, 8)), 0.7

    def objective(weights):
        return (expected(weights, rewards) - temperature * selection_kl(weights))[0]

    best = objective(soft_best_of_n_weights(rewards, temperature))
    assert all(objective(rng.dirichlet(np.ones(8), size=1)) < best for _ in range(200))


def test_best_of_poisson_has_hand_worked_weights():
    e = np.exp(-1.0)  # F(1/2) = 1/2 exp(2 (1/2 - 1))
    np.testing.assert_allclose(best_of_poisson_weights(np.array([[3.0, 1.0]]), 2.0), [[1 - e / 2, e / 2]])


def test_best_of_poisson_is_the_poisson_mixture_of_best_of_n_with_replacement():
    rewards, mu = np.array([[0.4, -1.0, 2.0, 0.9]]), 1.7
    rng = np.random.default_rng(2)
    size = 1 + rng.poisson(mu, size=(40_000, 1))
    drawn = rng.integers(4, size=(40_000, size.max()))
    seen = np.where(np.arange(size.max()) < size, rewards[0, drawn], -np.inf)
    best = np.take_along_axis(drawn, seen.argmax(1)[:, None], axis=1)[:, 0]
    shares = np.bincount(best, minlength=4) / 40_000
    np.testing.assert_allclose(best_of_poisson_weights(rewards, mu)[0], shares, atol=0.01)


@settings(max_examples=40)
@given(rewards=REWARDS)
def test_best_of_poisson_runs_from_the_base_to_the_best_of_all(rewards):
    np.testing.assert_allclose(best_of_poisson_weights(rewards, 0.0), UNIFORM, atol=1e-12)
    np.testing.assert_allclose(best_of_poisson_weights(rewards, 1e3), share_of_the_best(rewards), atol=1e-9)


def test_best_of_poisson_sees_the_order_of_rewards_only():
    rewards = np.random.default_rng(3).normal(size=(2, 6))
    np.testing.assert_allclose(best_of_poisson_weights(rewards, 3.0), best_of_poisson_weights(np.exp(4 * rewards), 3.0))


@pytest.mark.parametrize("mu", [0.01, 0.5, 3.0, 40.0, 300.0])
def test_the_kl_of_best_of_poisson_is_the_integral_of_its_density(mu):
    def integrand(t):
        log_density = np.log1p(mu * t) + mu * (t - 1)
        return np.exp(log_density) * log_density

    value, _ = quad(integrand, 0, 1, points=[1 - 1 / (1 + mu)], limit=200)
    assert best_of_poisson_kl(mu) == pytest.approx(value, rel=1e-6, abs=1e-12)


def test_the_kl_of_weights_approaches_the_kl_without_ties():
    rewards = np.random.default_rng(4).normal(size=(1, 20_000))
    assert selection_kl(best_of_poisson_weights(rewards, 5.0))[0] == pytest.approx(best_of_poisson_kl(5.0), abs=1e-4)
    assert selection_kl(best_of_n_weights(rewards, 8))[0] == pytest.approx(best_of_n_kl(8), abs=1e-2)
    assert best_of_poisson_kl(0) == 0
    assert 0 < best_of_poisson_kl(1e5) < np.log(1e5)


def test_kl_is_nil_at_the_base_and_the_logarithm_of_n_at_one_candidate():
    np.testing.assert_allclose(selection_kl(np.array([[0.25] * 4, [0, 1.0, 0, 0]])), [0, np.log(4)], atol=1e-12)


@pytest.mark.parametrize("rewards", [np.zeros(3), np.zeros((2, 0)), np.array([[1.0, np.nan]]), np.array([[np.inf]])])
@pytest.mark.parametrize("name", ["best_of_poisson", "pessimism", "soft_best_of_n"])
def test_rewards_that_cannot_be_compared_are_refused(name, rewards):
    with pytest.raises(InputError, match=r"finite rewards \[prompts, candidates\]"):
        SELECTIONS[name](rewards, 1.0)


@pytest.mark.parametrize("knob", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["best_of_poisson", "pessimism", "soft_best_of_n"])
def test_knobs_out_of_range_are_refused(name, knob):
    with pytest.raises(ConfigError, match="expected a finite"):
        SELECTIONS[name](np.zeros((1, 2)), knob)
