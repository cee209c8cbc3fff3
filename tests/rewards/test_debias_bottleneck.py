"""Bottleneck: gradient, what the latent keeps, and what lies outside in it."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import expit

from assay.records.errors import TrainingError
from assay.rewards.bradley_terry import Pairs
from assay.rewards.debias.bottleneck import fit_bottleneck, objective
from assay.rewards.outliers import fit_mahalanobis


@pytest.fixture(scope="module")
def chosen_by_two():
    """Features of which people's choices depend on the first two."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 12))
    felt = x @ np.r_[2.0, 1.0, np.zeros(10)]
    return x, Pairs(np.arange(300), np.arange(300, 600), expit(felt[:300] - felt[300:]), np.ones(300))


def test_the_gradient_equals_finite_differences(chosen_by_two):
    x, pairs = chosen_by_two
    few = pairs.take(np.arange(20))
    rng = np.random.default_rng(1)
    drawn = rng.dirichlet(np.ones(20), size=3)
    point = rng.normal(size=2 * 12 + 2 + 3 * 2) * 0.4
    error = check_grad(
        lambda flat: objective(flat, x, few, drawn, beta=0.1)[0],
        lambda flat: objective(flat, x, few, drawn, beta=0.1)[1],
        point,
    )
    assert error < 1e-5


def test_a_latent_without_signal_costs_the_kl_of_its_noise(chosen_by_two):
    # Encoder and decoders 0: a coin's log 2, and (e^2rho - 1 - 2 rho) / 2 nats for each of two latents.
    x, pairs = chosen_by_two
    drawn = np.full((3, 300), 1 / 300)
    flat = np.r_[np.zeros(24), [0.5, -0.5], np.zeros(6)]
    expected = np.log(2) + 0.1 * ((np.e - 1 - 1) / 2 + (np.exp(-1) - 1 + 1) / 2)
    assert objective(flat, x, pairs, drawn, beta=0.1)[0] == pytest.approx(expected)


def test_the_latent_keeps_what_choices_depend_on(chosen_by_two):
    x, pairs = chosen_by_two
    fitted = fit_bottleneck(x, pairs, beta=0.01, rng=np.random.default_rng(2))
    kept = np.square(fitted.encoder).sum(0)
    assert kept[:2].sum() > 0.9 * kept.sum()


def test_a_higher_price_leaves_less_in_the_latent(chosen_by_two):
    x, pairs = chosen_by_two
    spread = [
        fit_bottleneck(x, pairs, beta=beta, rng=np.random.default_rng(3)).encode(x).var(0).sum()
        for beta in (0.005, 0.05, 0.5)
    ]
    assert spread[0] > spread[1] > spread[2]


def test_a_reward_that_is_too_good_lies_outside_and_an_idle_direction_does_not(chosen_by_two):
    x, pairs = chosen_by_two
    fitted = fit_bottleneck(x, pairs, rng=np.random.default_rng(4))
    model = fit_mahalanobis(fitted.encode(x), directions=4, shrinkage=0.1)
    far, idle = x.copy(), x.copy()
    far[:, 0] += 8
    idle[:, 11] += 8
    assert model.is_outlier(fitted.encode(far)).mean() > 0.95
    assert model.is_outlier(fitted.encode(idle)).mean() < 0.05


def test_the_same_seed_gives_the_same_latent_and_no_pairs_are_refused(chosen_by_two):
    x, pairs = chosen_by_two
    one, two = (fit_bottleneck(x, pairs, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.encoder, two.encoder)
    with pytest.raises(TrainingError, match="at least one preference"):
        fit_bottleneck(x, pairs.take(np.zeros(0, dtype=int)), rng=np.random.default_rng(0))
