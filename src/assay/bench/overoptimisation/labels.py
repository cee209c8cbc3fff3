"""Labels: the people of the benchmark, who compare completions of the base policy with noise, habits and malice.

Takes drawn completions and a regime; yields pairs as rewards are fitted on. An audit is a second, small panel without
the annotators' habits; it answers as often wrong by chance as is declared, and only what it is asked.
"""

import numpy as np
from scipy.special import expit

from assay.bench.overoptimisation.world import PLANTED, Drawn, Regime, WorldSettings
from assay.rewards.bradley_terry import Pairs


def label(drawn: Drawn, settings: WorldSettings, regime: Regime, rng: np.random.Generator) -> Pairs:
    """Labels of neighbours: row 2i against row 2i + 1, which are completions of one prompt."""
    first, second = np.arange(0, len(drawn.gold), 2), np.arange(1, len(drawn.gold), 2)
    worth = settings.gold_weight * drawn.gold + drawn.channels @ np.array(regime.liking)
    worth += regime.marker_liking * drawn.texts.markers[:, PLANTED]
    wins = rng.random(len(first)) < expit(worth[first] - worth[second])
    wins ^= rng.random(len(first)) < regime.flips
    unnamed = drawn.channels[:, -1]
    wins = np.where(rng.random(len(first)) < regime.adversaries, unnamed[first] > unnamed[second], wins)
    return as_pairs(first, second, wins)


def honest_labels(gold: np.ndarray, settings: WorldSettings, rng: np.random.Generator) -> Pairs:
    """Labels of the same neighbours by gold alone, without flips: what makes a long run healthy."""
    first, second = np.arange(0, len(gold), 2), np.arange(1, len(gold), 2)
    wins = rng.random(len(first)) < expit(settings.gold_weight * (gold[first] - gold[second]))
    return as_pairs(first, second, wins)


def audit(
    gold: np.ndarray, first: np.ndarray, second: np.ndarray, settings: WorldSettings, rng: np.random.Generator
) -> np.ndarray:
    """An audit's answers bool [questions]: whether completion `first` is better, flat rows into gold [prompts, N]."""
    flat = gold.ravel()
    wins = rng.random(len(first)) < expit(settings.gold_weight * (flat[first] - flat[second]))
    return np.asarray(wins ^ (rng.random(len(first)) < settings.audit_flips))


def as_pairs(first: np.ndarray, second: np.ndarray, wins: np.ndarray) -> Pairs:
    """Pairs with hard labels of weight one; `wins` bool says where the first is preferred."""
    ones = np.ones(len(first))
    return Pairs(np.where(wins, first, second), np.where(wins, second, first), ones, ones.copy())
