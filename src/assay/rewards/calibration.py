"""Calibration: says what a reward's probability is worth, on held-out pairs: accuracy, NLL, reliability, ECE, Brier.

    temperature  sigmoid(margin / t), Guo et al. 2017 (arXiv 1706.04599): one number, for few pairs
    isotonic     any increasing curve, Zadrozny & Elkan 2002: bends with the data, needs some hundred pairs

Both are fitted on a fold that the reward was not fitted on. The members' spread is held to account too: does it predict
the error (Spearman), and how often does mean plus and minus two s.d. leave out what people chose?
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression, minimize_scalar
from scipy.special import expit
from scipy.stats import rankdata

from assay.records.reward import MarginBin, ReliabilityBin, RewardQuality, SpreadBin

BINS = 10
MARGIN_EDGES = (0.5, 0.6, 0.75, 0.9, 1.0)
"""Bounds of how sure people were; below 0.6 is a near tie."""
SPREAD_BINS = 5


def fit_temperature(margins: np.ndarray, probability: np.ndarray) -> float:
    """The temperature t > 0 that minimises the soft NLL of sigmoid(margin / t); 1 where there is nothing to fit on."""
    if len(margins) == 0 or not np.any(margins):
        return 1.0
    solved = minimize_scalar(
        lambda log_t: soft_nll(margins / np.exp(log_t), probability), bounds=(-4.0, 4.0), method="bounded"
    )
    return float(np.exp(solved.x))


class IsotonicMap(NamedTuple):
    """Increasing `margins` [m] and the probability at each, straight in between and level beyond; 1/2 at margin 0."""

    margins: np.ndarray
    probabilities: np.ndarray

    def probability(self, margins: np.ndarray) -> np.ndarray:
        """Probability [n] that the first is better, for margins [n]."""
        return np.interp(margins, self.margins, self.probabilities)


def fit_isotonic(margins: np.ndarray, probability: np.ndarray) -> IsotonicMap:
    """The increasing curve nearest to people's probability in mean square; each pair enters in both orders.

    Every level part becomes one point, at its mean margin. No probability comes nearer to 0 or 1 than 1 / (2 n + 2),
    which is all that n pairs can say. Raises ValueError for no pairs.
    """
    if len(margins) == 0:
        raise ValueError("expected at least one pair to fit a curve on; got none")
    both, target = np.concatenate([margins, -margins]), np.concatenate([probability, 1 - probability])
    at, index, count = np.unique(both, return_inverse=True, return_counts=True)
    mean = np.bincount(index, weights=target) / count
    fitted = isotonic_regression(mean, weights=count)
    blocks = np.split(np.arange(len(at)), fitted.blocks[1:-1])
    floor = 1 / (2 * len(margins) + 2)
    return IsotonicMap(
        margins=np.array([np.average(at[rows], weights=count[rows]) for rows in blocks]),
        probabilities=np.clip([fitted.x[rows[0]] for rows in blocks], floor, 1 - floor),
    )


def soft_nll(margins: np.ndarray, probability: np.ndarray) -> float:
    """Mean cross-entropy in nats of sigmoid(margins) [n] against target probabilities [n]."""
    return float(np.mean(probability * np.logaddexp(0, -margins) + (1 - probability) * np.logaddexp(0, margins)))


def brier(predicted: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared distance of predicted probabilities [n] to target probabilities [n]."""
    return float(np.mean((predicted - probability) ** 2))


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


def nll_by_margin(logits: np.ndarray, probability: np.ndarray) -> tuple[MarginBin, ...]:
    """Accuracy and NLL of calibrated logits [n] by how sure people were, empty bins left out."""
    sure = np.maximum(probability, 1 - probability)
    index = np.clip(np.searchsorted(MARGIN_EDGES, sure, side="right") - 1, 0, len(MARGIN_EDGES) - 2)
    bins = []
    for b in np.unique(index):
        p, logit = probability[index == b], logits[index == b]
        decided = p != 0.5
        right = (logit[decided] > 0) == (p[decided] > 0.5)
        bins.append(
            MarginBin(
                low=MARGIN_EDGES[b],
                high=MARGIN_EDGES[b + 1],
                count=len(p),
                accuracy=float(right.mean()) if len(right) else None,
                nll=soft_nll(logit, p),
            )
        )
    return tuple(bins)


class MemberMargins(NamedTuple):
    """Mean and s.d. over the members of their margins on each pair [n], in the reward's units."""

    mean: np.ndarray
    spread: np.ndarray


def spread_bins(members: MemberMargins, error: np.ndarray, probability: np.ndarray) -> tuple[SpreadBin, ...]:
    """Fifths of the pairs by spread, least first; with fewer than five pairs each pair is a bin."""
    reach = np.where(probability > 0.5, members.mean, -members.mean) + 2 * members.spread
    covered = (reach >= 0) | (probability == 0.5)
    parts = np.array_split(np.argsort(members.spread, kind="stable"), min(SPREAD_BINS, len(error)) or 1)
    return tuple(
        SpreadBin(
            spread=float(members.spread[rows].mean()),
            error=float(error[rows].mean()),
            covered=float(covered[rows].mean()),
            count=len(rows),
        )
        for rows in parts
        if len(rows)
    )


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's correlation of two samples [n], equals sharing a rank; None where one of them does not vary."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


class Calibrator(NamedTuple):
    """How margins become probabilities: divided by `temperature`, or by an `isotonic` curve where there is one."""

    temperature: float = 1.0
    isotonic: IsotonicMap | None = None

    def logits(self, margins: np.ndarray) -> np.ndarray:
        """Log-odds [n] that the first is better, for margins [n]."""
        if self.isotonic is None:
            return np.asarray(margins / self.temperature)
        p = self.isotonic.probability(margins)
        return np.asarray(np.log(p) - np.log1p(-p))


FitCalibrator = Callable[[np.ndarray, np.ndarray], Calibrator]

CALIBRATIONS: dict[str, FitCalibrator] = {
    "temperature": lambda margins, probability: Calibrator(fit_temperature(margins, probability)),
    "isotonic": lambda margins, probability: Calibrator(isotonic=fit_isotonic(margins, probability)),
}
"""The named choices."""


def quality_report(
    margins: np.ndarray,
    probability: np.ndarray,
    *,
    temperature: float,
    rewards: np.ndarray,
    lengths: np.ndarray,
    members: MemberMargins | None = None,
    logits: np.ndarray | None = None,
    calibration: str = "temperature",
) -> RewardQuality:
    """Held-out quality: margins [pairs] before calibration, probability [pairs], rewards, lengths [completions].

    `logits` [pairs] are the log-odds by the named `calibration`, by default margins / temperature; `members` adds what
    their spread says.
    """
    calibrated = margins / temperature if logits is None else logits
    bins = reliability(calibrated, probability)
    varies = len(rewards) > 1 and rewards.std() > 0 and lengths.std() > 0
    error = np.abs(expit(calibrated) - probability)
    has_pairs = len(margins) > 0
    return RewardQuality(
        pairs=len(margins),
        accuracy=float(np.mean((margins > 0) == (probability > 0.5))) if has_pairs else 0.0,
        nll=soft_nll(calibrated, probability) if has_pairs else 0.0,
        ece=expected_calibration_error(bins),
        ece_before=expected_calibration_error(reliability(margins, probability)),
        temperature=temperature,
        reliability=bins,
        length_correlation=float(np.corrcoef(rewards, lengths)[0, 1]) if varies else 0.0,
        brier=brier(expit(calibrated), probability) if has_pairs else None,
        by_margin=nll_by_margin(calibrated, probability) if has_pairs else None,
        by_spread=None if members is None or not has_pairs else spread_bins(members, error, probability),
        spread_rank_correlation=None if members is None else rank_correlation(members.spread, error),
        calibration=calibration,
    )
