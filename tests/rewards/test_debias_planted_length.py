"""De-biasing against a planted habit: labels that like length, and each method's reward on fresh completions.

Twenty rotated dimensions; quality is linear in nineteen of them, length is the last and goes along with one of
quality's. People feel quality plus 1.5 s.d. of length, and a tenth of the labels is turned around. No method sees
quality.
"""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import expit

from assay.rewards.bradley_terry import Pairs, fit_head
from assay.rewards.debias.loess import fit_loess
from assay.rewards.debias.nuisance import decorrelate, fit_nuisance_head, fit_residualiser
from assay.rewards.debias.odin import fit_odin

FIT = {"ridge": 0.02, "sum_to_zero": 0.01}
SEEDS = range(6)


class Drawn(NamedTuple):
    x: np.ndarray
    quality: np.ndarray
    length: np.ndarray


class Habit(NamedTuple):
    train: Drawn
    pairs: Pairs
    fresh: Drawn


def planted(seed, rows=800, d=20):
    rng = np.random.default_rng(seed)
    turn, weight = np.linalg.qr(rng.normal(size=(d, d)))[0], 2 * rng.normal(size=d - 1) / np.sqrt(d - 1)

    def draw(n):
        latent = rng.normal(size=(n, d))
        latent[:, -1] = 0.33 * latent[:, 0] + np.sqrt(1 - 0.33**2) * latent[:, -1]
        return Drawn(latent @ turn, latent[:, :-1] @ weight, latent[:, -1])

    train, half = draw(rows), rows // 2
    felt = train.quality + 1.5 * train.length
    wins = (rng.random(half) < expit(felt[:half] - felt[half:])) ^ (rng.random(half) < 0.1)
    return Habit(train, Pairs(np.arange(half), np.arange(half, rows), wins.astype(float), np.ones(half)), draw(4000))


def plain(h):
    return h.fresh.x @ fit_head(h.train.x, h.pairs, **FIT)


def nuisance(h):
    head = fit_nuisance_head(h.train.x, h.train.length[:, None], h.pairs, nuisance_ridge=0.001, **FIT)
    return h.fresh.x @ head.theta


def residualised(h):
    fitted = fit_residualiser(h.train.x, h.train.length[:, None])
    theta = fit_head(fitted.apply(h.train.x, h.train.length[:, None]), h.pairs, **FIT)
    return fitted.apply(h.fresh.x, h.fresh.length[:, None]) @ theta


def decorrelated(h):
    theta = decorrelate(fit_head(h.train.x, h.pairs, **FIT), h.train.x, h.train.length[:, None])
    return h.fresh.x @ theta


def odin(h):
    return h.fresh.x @ fit_odin(h.train.x, h.train.length, h.pairs, **FIT)


def loess(h):
    theta = fit_head(h.train.x, h.pairs, **FIT)
    return fit_loess(h.train.x @ theta, h.train.length).residual(h.fresh.x @ theta, h.fresh.length)


def measured(method):
    """Mean |corr(reward, length)|, and accuracy where quality is the truth, on fresh completions."""
    correlations, accuracies = [], []
    for seed in SEEDS:
        habit = planted(seed)
        reward, half = method(habit), len(habit.fresh.x) // 2
        correlations.append(np.corrcoef(reward, habit.fresh.length)[0, 1])
        better = habit.fresh.quality[:half] > habit.fresh.quality[half:]
        accuracies.append(np.mean((reward[:half] > reward[half:]) == better))
    return float(np.mean(np.abs(correlations))), float(np.mean(accuracies))


@pytest.fixture(scope="module")
def undone():
    return measured(plain)


def test_the_habit_is_learnt_where_nothing_is_done(undone):
    correlation, accuracy = undone
    assert correlation > 0.4
    assert accuracy < 0.82


@pytest.mark.parametrize("method", [nuisance, residualised, decorrelated, odin, loess])
def test_each_method_takes_the_habit_out_and_judges_quality_better(method, undone):
    correlation, accuracy = measured(method)
    assert correlation < 0.15
    assert accuracy > undone[1] + 0.05
