"""Calibration: says what a reward's probability is worth: accuracy, NLL, reliability curve and ECE on held-out pairs.

Guo et al. 2017 (arXiv 1706.04599): one temperature, fitted on a fold that the reward was not fitted on.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

from assay.records.reward import ReliabilityBin, RewardQuality

BINS = 10


def fit_temperature(margins: np.ndarray, probability: np.ndarray) -> float:
    """The temperature t > 0 that minimises the soft NLL of sigmoid(margin / t); 1 where there is nothing to fit on."""
    if len(margins) == 0 or not np.any(margins):
        return 1.0
    solved = minimize_scalar(
        lambda log_t: soft_nll(margins / np.exp(log_t), probability), bounds=(-4.0, 4.0), method="bounded"
    )
    return float(np.exp(solved.x))


def soft_nll(margins: np.ndarray, probability: np.ndarray) -> float:
    """Mean cross-entropy in nats of sigmoid(margins) [n] against target probabilities [n]."""
    return float(np.mean(probability * np.logaddexp(0, -margins) + (1 - probability) * np.logaddexp(0, margins)))


def reliability(margins: np.ndarray, probability: np.ndarray) -> tuple[ReliabilityBin, ...]:
    """Bins of equal width over the predicted probability that the first is better, empty ones left out.

    Each pair enters in both orders, so the curve is symmetric and speaks of all probabilities.
    """
    predicted = np.concatenate([expit(margins), expit(-margins)])
    observed = np.concatenate([probability, 1 - probability])
    index = np.minimum((predicted * BINS).astype(int), BINS - 1)
    return tuple(
        ReliabilityBin(
            predicted=float(predicted[index == b].mean()),
            observed=float(observed[index == b].mean()),
            count=int((index == b).sum()),
        )
        for b in range(BINS)
        if np.any(index == b)
    )


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Mean gap between predicted and observed, weighted by count."""
    total = sum(b.count for b in bins)
    return sum(b.count * abs(b.predicted - b.observed) for b in bins) / total if total else 0.0


def quality_report(
    margins: np.ndarray, probability: np.ndarray, *, temperature: float, rewards: np.ndarray, lengths: np.ndarray
) -> RewardQuality:
    """Held-out quality: margins [pairs] before temperature, probability [pairs], rewards, lengths [completions]."""
    bins = reliability(margins / temperature, probability)
    varies = len(rewards) > 1 and rewards.std() > 0 and lengths.std() > 0
    return RewardQuality(
        pairs=len(margins),
        accuracy=float(np.mean((margins > 0) == (probability > 0.5))) if len(margins) else 0.0,
        nll=soft_nll(margins / temperature, probability) if len(margins) else 0.0,
        ece=expected_calibration_error(bins),
        ece_before=expected_calibration_error(reliability(margins, probability)),
        temperature=temperature,
        reliability=bins,
        length_correlation=float(np.corrcoef(rewards, lengths)[0, 1]) if varies else 0.0,
    )
