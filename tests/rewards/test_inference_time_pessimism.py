"""InferenceTimePessimism: the exact cutoff, its optimum, and a sampler that draws what the weights say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assay.records.errors import ConfigError, InputError
from assay.rewards.inference_time import (
    expected,
    pessimism_cutoff,
    pessimism_sample,
    pessimism_weights,
    soft_best_of_n_weights,
)

REWARDS = arrays(np.float64, (2, 7), elements=st.floats(-10, 10))


def test_the_cutoff_and_the_weights_are_as_worked_by_hand():
    rewards = np.array([[0.0, 1.0, 3.0]])
    # l = 0.5: relu(-0.5, 0.5, 2.5) has mean 1
    assert pessimism_cutoff(rewards, 1.0)[0] == pytest.approx(0.5)
    np.testing.assert_allclose(pessimism_weights(rewards, 1.0), [[0, 1 / 6, 5 / 6]])
    # b = 4: all clear it, l = 4/3 - 4
    assert pessimism_cutoff(rewards, 4.0)[0] == pytest.approx(-8 / 3)
    np.testing.assert_allclose(pessimism_weights(rewards, 4.0), [[8 / 36, 11 / 36, 17 / 36]])


@settings(max_examples=40)
@given(rewards=REWARDS, b=st.floats(0.01, 100))
def test_the_cutoff_makes_the_mean_excess_one(rewards, b):
    excess = np.maximum(rewards - pessimism_cutoff(rewards, b)[:, None], 0) / b
    np.testing.assert_allclose(excess.mean(1), 1, rtol=1e-6)
    np.testing.assert_allclose(excess / 7, pessimism_weights(rewards, b), atol=1e-6)


@settings(max_examples=40)
@given(rewards=REWARDS)
def test_it_runs_from_the_base_to_the_best_of_all(rewards):
    is_best = rewards >= rewards.max(1, keepdims=True)
    np.testing.assert_allclose(pessimism_weights(rewards, 1e12), np.full((2, 7), 1 / 7), atol=1e-9)
    if np.all(np.sort(rewards, axis=1)[:, -1] - np.sort(rewards, axis=1)[:, -2] > 1e-3):
        np.testing.assert_allclose(pessimism_weights(rewards, 1e-6), is_best, atol=1e-9)
    np.testing.assert_allclose(pessimism_weights(np.ones((2, 4)), 1e-9), np.full((2, 4), 0.25))


def test_the_weights_are_the_optimum_of_reward_less_half_b_chi_squared():
    rng = np.random.default_rng(0)
    rewards, b = rng.normal(size=(1, 8)), 0.8

    def objective(weights):
        return expected(weights, rewards)[0] - b / 2 * (8 * (weights**2).sum() - 1)

    best = objective(pessimism_weights(rewards, b))
    assert all(objective(rng.dirichlet(np.ones(8), size=1)) < best for _ in range(300))


@settings(max_examples=40)
@given(rewards=REWARDS, b=st.floats(0.05, 20))
def test_more_regularisation_never_buys_more_reward(rewards, b):
    harder = expected(pessimism_weights(rewards, b), rewards)
    gentler = expected(pessimism_weights(rewards, 1.5 * b), rewards)
    assert (gentler <= harder + 1e-9).all()


def test_one_wild_reward_takes_a_tenth_of_what_softmax_gives_it():
    proxy = np.r_[np.linspace(0, 1, 99), 1.2][None]
    gold = np.r_[np.linspace(0, 1, 99), -50.0][None]
    pessimistic, soft = (expected(rule(proxy, 0.05), gold)[0] for rule in (pessimism_weights, soft_best_of_n_weights))
    assert soft < -40 and pessimistic > soft / 10


def test_the_sampler_draws_by_the_weights():
    rewards, b, prompts = np.array([0.0, 1.0, 3.0, 2.5]), 2.0, 20_000
    rng = np.random.default_rng(1)
    drawn = rng.integers(4, size=(prompts, 40))
    chosen = pessimism_sample(np.tile(rewards, (prompts, 1)), rewards[drawn], b=b, bound=4.0, rng=rng)
    assert chosen.is_accepted.mean() > 0.999
    taken = drawn[np.arange(prompts), chosen.draw]
    shares = np.bincount(taken, minlength=4) / prompts
    np.testing.assert_allclose(shares, pessimism_weights(rewards[None], b)[0], atol=0.015)


def test_a_bound_below_the_largest_weight_flattens_the_top():
    rewards = np.array([[0.0, 1.0, 3.0]])
    draws = np.tile([1.0, 3.0, 0.0], (5_000, 1))
    # w = 0.5 and 2.5; with bound 0.5 both are accepted for certain, so the first draw always wins
    chosen = pessimism_sample(np.repeat(rewards, 5_000, axis=0), draws, b=1.0, bound=0.5, rng=np.random.default_rng(2))
    assert (chosen.draw == 0).all()
    exact = pessimism_sample(np.repeat(rewards, 5_000, axis=0), draws, b=1.0, bound=2.5, rng=np.random.default_rng(2))
    assert (exact.draw == 0).mean() == pytest.approx(0.2, abs=0.02)
    assert (exact.draw == 1).mean() == pytest.approx(0.8, abs=0.02)


def test_the_last_draw_is_the_fallback_where_all_are_refused():
    chosen = pessimism_sample(
        np.array([[0.0, 10.0]]), np.array([[0.0, 0.0, 0.0]]), b=0.1, bound=2.0, rng=np.random.default_rng(0)
    )
    assert (chosen.draw[0], chosen.is_accepted[0]) == (2, False)


def test_the_sampler_refuses_what_it_cannot_use():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match=r"draws \[1, K >= 2\]; got \[2, 3\]"):
        pessimism_sample(np.zeros((1, 3)), np.zeros((2, 3)), b=1.0, bound=1.0, rng=rng)
    with pytest.raises(InputError, match="at least two fresh completions"):
        pessimism_sample(np.zeros((1, 3)), np.zeros((1, 1)), b=1.0, bound=1.0, rng=rng)
    with pytest.raises(ConfigError, match="finite bound above 0"):
        pessimism_sample(np.zeros((1, 3)), np.zeros((1, 3)), b=1.0, bound=0.0, rng=rng)
