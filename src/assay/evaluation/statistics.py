"""Statistics: intervals for win rates, length adjustment and agreement between raters. Takes arrays, yields estimates.

Outcomes are one number a pair: 1 the policy won, 0 it lost, 1/2 a tie. Pairs are taken as independent: where several
pairs share a prompt the intervals are too narrow, so ask each prompt once. numpy and scipy only.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit
from scipy.stats import beta, chi2

from assay.records.errors import InputError, explain
from assay.records.evidence import Estimate

Floats = NDArray[np.float64]

PENALTY = 0.1
"""L2 penalty of the length adjustment: a normal prior with standard deviation 3.2 logits."""

REACH = 15.0
"""Largest win rate looked for, in logits."""


class Interval(NamedTuple):
    """Lower and upper end."""

    low: float
    high: float


def clopper_pearson(successes: float, n: int, *, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion (Clopper & Pearson 1934); not of zero width at 0/n and n/n.

    Half successes are allowed (see `win_rate`). Raises InputError unless 0 <= successes <= n and n > 0.
    """
    if n < 1 or not 0 <= successes <= n:
        got = f"{successes} of {n}"
        raise InputError(explain(expected="successes between 0 and n > 0", got=got, do="count again"))
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes == n else float(beta.ppf(1.0 - tail, successes + 1, n - successes))
    return Interval(low, high)


def proportion(successes: float, n: int, *, confidence: float = 0.95) -> Estimate:
    """A proportion with its exact interval."""
    low, high = clopper_pearson(successes, n, confidence=confidence)
    return Estimate(value=successes / n, low=low, high=high, n=n, confidence=confidence, method="Clopper-Pearson")


def win_rate(outcomes: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Share of points won, a tie being half a point, with a conservative interval.

    Clopper-Pearson on the points, half points allowed. If each tie were broken by a fair coin the wins would be
    binomial with this very mean and the interval exact; a half point varies less than the coin, so the interval errs to
    the wide side, and it is right at 0/n and n/n. (Dropping ties instead would answer another question, and leave
    nothing when all are ties.) Raises InputError when there are no pairs.
    """
    values = np.asarray(outcomes, dtype=np.float64)
    estimate = proportion(float(values.sum()), values.size, confidence=confidence)
    return estimate.model_copy(update={"method": "Clopper-Pearson, a tie as half a point (conservative)"})


def bootstrap(
    values: ArrayLike,
    statistic: Callable[[Floats], float],
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Percentile bootstrap over the first axis. Not for proportions near 0 or 1, where `clopper_pearson` is right."""
    data = np.asarray(values, dtype=np.float64)
    draws = [statistic(data[rng.integers(0, len(data), len(data))]) for _ in range(resamples)]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return Estimate(
        value=float(statistic(data)),
        low=float(low),
        high=float(high),
        n=len(data),
        confidence=confidence,
        method=f"percentile bootstrap, {resamples} resamples",
    )


def length_adjusted_win_rate(
    outcomes: ArrayLike, policy_lengths: ArrayLike, reference_lengths: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Win rate at equal length: logistic regression on the length ratio, read at ratio one.

    logit P(win) = a + b z with z = log2((l_policy + 1) / (l_reference + 1)), so that b is in logits a doubling; both
    under a light L2 penalty. The estimate is expit(a), its interval the penalised profile likelihood of a, which stays
    right where all pairs were won. Where longer answers always won, a and b cannot be told apart and the interval is
    wide. Where no lengths differ, there is nothing to adjust and the exact interval is given. Idea: length-controlled
    AlpacaEval (2404.04475), without its fixed prompt list.
    """
    y = np.asarray(outcomes, dtype=np.float64)
    z = np.log1p(np.asarray(policy_lengths, np.float64)) - np.log1p(np.asarray(reference_lengths, np.float64))
    z /= np.log(2.0)
    if not np.any(np.abs(z) > 1e-9):
        return win_rate(y, confidence=confidence).model_copy(update={"method": "Clopper-Pearson: lengths are equal"})
    best = float(minimize_scalar(_profile, bounds=(-REACH, REACH), args=(z, y), method="bounded").x)
    limit = _profile(best, z, y) + float(chi2.ppf(confidence, 1)) / 2.0
    ends = [
        brentq(lambda a: _profile(a, z, y) - limit, best, best + side * 2.0 * REACH, xtol=1e-6) for side in (-1.0, 1.0)
    ]
    method = "logistic regression read at equal length, profile likelihood"
    low, value, high = expit([ends[0], best, ends[1]])
    return Estimate(
        value=float(value), low=float(low), high=float(high), n=y.size, confidence=confidence, method=method
    )


def _profile(intercept: float, z: Floats, y: Floats) -> float:
    """Penalised negative log-likelihood at this intercept and its best slope, which is unique: the gradient rises."""

    def gradient(slope: float) -> float:
        return float(z @ (expit(intercept + slope * z) - y)) + PENALTY * slope

    bound = float(np.abs(z).sum()) / PENALTY + 1.0
    slope = float(brentq(gradient, -bound, bound, xtol=1e-9))
    logits = intercept + slope * z
    return float(np.sum(np.logaddexp(0.0, logits) - y * logits)) + 0.5 * PENALTY * (intercept**2 + slope**2)


def pairwise_agreement(verdicts: ArrayLike) -> Floats:
    """Agreement of each two raters, shape [raters, raters]: mean of 1 - |difference| over verdicts [raters, pairs]."""
    values = np.asarray(verdicts, dtype=np.float64)
    agreement = 1.0 - np.abs(values[:, None, :] - values[None, :, :]).mean(axis=2)
    return np.asarray(agreement, dtype=np.float64)


def krippendorff_alpha(verdicts: ArrayLike) -> float | None:
    """Krippendorff's alpha (interval metric) over verdicts [raters, pairs]: 1 perfect, 0 chance, below 0 opposed.

    All raters judge all pairs. None with fewer than two raters or no pairs; 1 when all verdicts are the same.
    """
    values = np.asarray(verdicts, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] == 0:
        return None
    raters, pairs = values.shape
    within = np.mean([(values[i] - values[j]) ** 2 for i, j in combinations(range(raters), 2)])
    total = raters * pairs
    between = 2.0 * float(values.var()) * total / (total - 1)
    return 1.0 if between == 0 else float(1.0 - within / between)


def majority(verdicts: ArrayLike) -> Floats:
    """One outcome a pair from verdicts [raters, pairs]: 1 or 0 where more raters say so than the opposite, else 1/2."""
    balance = (np.asarray(verdicts, dtype=np.float64) - 0.5).sum(axis=0)
    return np.asarray(0.5 + 0.5 * np.sign(balance), dtype=np.float64)


def paired_standard_error(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> float:
    """Standard error of the mean difference of paired numbers; infinite for a single pair."""
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return float(difference.std(ddof=1) / np.sqrt(difference.size)) if difference.size > 1 else float("inf")
