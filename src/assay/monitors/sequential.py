"""Sequential tests: CUSUM and e-processes over standardised scores, with thresholds for a stated false-alarm rate.

Takes scores, one a checkpoint, that are independent and standard normal (or stochastically smaller) while a run is
healthy; yields the path of the statistic, and the threshold for an average run length (ARL) or for a probability of any
false alarm. Many looks at one run are accounted for, so a detector may look at every checkpoint.

Catches: a shift of the score at any checkpoint, and drifts too small to show in any one of them.
Does not catch: falls of the score, for all is one-sided. Scores that share an error (one small reference sample for
all) are not independent: let the score's owner take the reference at its confidence limit, as `combined` does.
Sources: CUSUM by Page, "Continuous inspection schemes" (1954); its run length by Brook and Evans (1972), here with
Gauss-Legendre nodes for their grid; e-processes and their bound by Ville (1939), as in Ramdas et al., "Game-theoretic
statistics and safe anytime-valid inference" (arXiv 2210.01948); starts mixed as in e-detectors (arXiv 2203.03532).
"""

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from assay.records.errors import ConfigError, explain

Floats = NDArray[np.float64]

NODES = 96
"""Gauss-Legendre nodes on [0, threshold]: run lengths agree with those of 400 nodes to six digits up to 15."""
LARGEST_THRESHOLD = 20.0
EFFECTS = (0.5, 1.0, 2.0, 4.0)
"""Shifts in standard errors that the e-process bets on alike: a slow drift up to a jump."""


def cusum(scores: Sequence[float] | Floats, *, allowance: float = 0.5) -> Floats:
    """Path [n] of the upper CUSUM: S_t = max(0, S_(t-1) + score_t - allowance), from 0.

    `allowance` is half the shift in standard errors that is to be found fastest.
    """
    path, level = [], 0.0
    for score in scores:
        level = max(0.0, level + float(score) - allowance)
        path.append(level)
    return np.array(path)


def average_run_length(threshold: float, *, allowance: float = 0.5, shift: float = 0.0) -> float:
    """Expected number of scores until the CUSUM exceeds `threshold`, for independent scores of N(shift, 1), from 0."""
    kernel, at_zero, from_zero, zero_to_zero = _transitions(threshold, allowance - shift)
    # Unknowns: the run length from each node and from exactly 0, where the path has positive mass.
    system = np.eye(NODES + 1) - np.block(
        [[kernel, at_zero[:, None]], [from_zero[None, :], np.array([[zero_to_zero]])]]
    )
    return float(np.linalg.solve(system, np.ones(NODES + 1))[-1])


def false_alarm_probability(threshold: float, *, horizon: int, allowance: float = 0.5) -> float:
    """Probability that the CUSUM of `horizon` healthy scores exceeds `threshold` at any of them."""
    kernel, at_zero, from_zero, zero_to_zero = _transitions(threshold, allowance)
    survival, survival_at_zero = np.ones(NODES), 1.0
    for _ in range(horizon):
        survival, survival_at_zero = (
            kernel @ survival + at_zero * survival_at_zero,
            float(from_zero @ survival + zero_to_zero * survival_at_zero),
        )
    return 1.0 - survival_at_zero


@cache
def threshold_for_run_length(arl: float, *, allowance: float = 0.5) -> float:
    """The CUSUM's threshold at which a healthy run rings once in `arl` checkpoints on average.

    Raises ConfigError where no threshold gives it: an ARL of 1 or less than that of a threshold of zero, or too large.
    """
    return _solve(lambda h: math.log(average_run_length(h, allowance=allowance) / arl), f"an ARL of {arl:g}")


@cache
def threshold_for_false_alarms(probability: float, *, horizon: int, allowance: float = 0.5) -> float:
    """The CUSUM's threshold at which a healthy run of `horizon` checkpoints rings with this probability.

    Raises ConfigError where no threshold gives it.
    """

    def excess(threshold: float) -> float:
        return probability - false_alarm_probability(threshold, horizon=horizon, allowance=allowance)

    return _solve(excess, f"a false-alarm probability of {probability:g} over {horizon} checkpoints")


def log_e_process(scores: Sequence[float] | Floats, *, effects: Sequence[float] = EFFECTS) -> Floats:
    """Logarithm [n] of an e-process against "every score has a conditional mean of at most 0 and unit variance".

    It multiplies the likelihood ratios exp(d z - d^2/2) of normal scores, mixed evenly over the shifts `effects` and
    over the checkpoint k from which the shift holds with weights 1/(k (k+1)). While the null holds, the probability
    that it ever reaches log(1/alpha) is at most alpha (Ville), however long the run and whenever one looks.
    """
    return _mixture([np.array([d * float(z) - d * d / 2 for z in scores]) for d in effects])


def log_win_rate_e_process(wins: Sequence[int], losses: Sequence[int], *, least: float = 0.5) -> Floats:
    """Logarithm [n] of an e-process against "a win has a chance of at least `least`", from counts a checkpoint.

    Each bet is a likelihood ratio of a smaller chance, at a tenth to nine tenths of `least`; starts are mixed as in
    `log_e_process`. Ville's bound holds for any chances that are at least `least`, however they change.
    """
    won, lost = np.asarray(wins, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    chances = least * np.arange(1, 10) / 10
    return _mixture([won * math.log(p / least) + lost * math.log((1 - p) / (1 - least)) for p in chances])


def _mixture(log_ratios: Sequence[Floats]) -> Floats:
    """Logarithm [n] of the even mixture of bets, each given as its log likelihood ratios [n], and of their starts.

    For one bet, A_t = (A_(t-1) + w_t) ratio_t with w_t = 1/(t (t+1)), plus the 1/(t+1) that has not begun to bet.
    """
    ratios = np.asarray(log_ratios)
    running, path = np.full(len(ratios), -np.inf), np.empty(ratios.shape[1])
    for t in range(1, ratios.shape[1] + 1):
        running = np.logaddexp(running, -math.log(t * (t + 1))) + ratios[:, t - 1]
        path[t - 1] = np.logaddexp(np.logaddexp.reduce(running) - math.log(len(ratios)), -math.log(t + 1))
    return path


def _transitions(threshold: float, drift: float) -> tuple[Floats, Floats, Floats, float]:
    """One step of the CUSUM below its threshold: node to node [NODES, NODES], node to 0, 0 to node, and 0 to 0."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    points, weights = threshold * (nodes + 1) / 2, threshold * weights / 2
    kernel = weights[None, :] * norm.pdf(points[None, :] - points[:, None] + drift)
    return kernel, norm.cdf(drift - points), weights * norm.pdf(points + drift), float(norm.cdf(drift))


def _solve(excess: Callable[[float], float], wanted: str) -> float:
    """The threshold where a rising function crosses zero."""
    if excess(0.0) > 0 or excess(LARGEST_THRESHOLD) < 0:
        do = "ask for a longer run length or a smaller probability, but for one that a run can show"
        raise ConfigError(explain(expected=f"a threshold from 0 to {LARGEST_THRESHOLD:g}", got=wanted, do=do))
    return float(brentq(excess, 0.0, LARGEST_THRESHOLD, xtol=1e-6))
