"""Judged: what margins on held-out pairs are worth, whoever gave them. One code for the project's rewards and peers'.

Accuracy is the share of pairs on which the margin's sign is the majority's. The expected calibration error is taken
twice: of the margins as the reward gives them, and after one temperature. Where the reward brings no temperature of its
own it is fitted on the other half of the same held-out pairs, which is more than a reward is given anywhere else: it
has not to pay for its calibration with pairs to fit on.
"""

from typing import NamedTuple

import numpy as np

from assay.rewards.calibration import expected_calibration_error, fit_temperature, reliability, soft_nll

BOOTSTRAPS = 2000


class Judged(NamedTuple):
    """Accuracy, ECE of the plain margins, ECE and NLL in nats after scaling, and which pairs [n] are right."""

    accuracy: float
    ece: float
    ece_scaled: float
    nll_scaled: float
    is_right: np.ndarray


class Interval(NamedTuple):
    """A difference with its 95 % interval."""

    difference: float
    low: float
    high: float


def judge(margins: np.ndarray, probability: np.ndarray, *, temperature: float | None = None) -> Judged:
    """Judge margins [n] in logits against people's probability [n] that the first is better."""
    scaled = cross_scaled(margins, probability) if temperature is None else margins / temperature
    is_right = (margins > 0) == (probability > 0.5)
    return Judged(
        accuracy=float(is_right.mean()),
        ece=expected_calibration_error(reliability(margins, probability)),
        ece_scaled=expected_calibration_error(reliability(scaled, probability)),
        nll_scaled=soft_nll(scaled, probability),
        is_right=is_right,
    )


def cross_scaled(margins: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Each half of the margins [n], even and odd, divided by the temperature that fits the other half best."""
    scaled = np.array(margins, dtype=np.float64)
    halves = np.arange(len(margins)) % 2
    for half in (0, 1):
        mine, other = halves == half, halves != half
        scaled[mine] /= fit_temperature(margins[other], probability[other])
    return scaled


def paired_difference(ours: np.ndarray, theirs: np.ndarray, *, rng: np.random.Generator) -> Interval:
    """Mean of ours [n] less mean of theirs [n] on the same pairs, with a bootstrap interval over pairs."""
    gaps = ours.astype(np.float64) - theirs.astype(np.float64)
    drawn = gaps[rng.integers(len(gaps), size=(BOOTSTRAPS, len(gaps)))].mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(float(gaps.mean()), float(low), float(high))
