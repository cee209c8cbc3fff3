"""Shaping: the last thing done to a reward before an optimiser sees it; it keeps the order and bounds the pull.

    none     r
    par      mean_m sigmoid(k (r - r_ref_m))     preference as reward, Fu et al. 2025 (arXiv 2502.18770)
    clip     r held within `limit` reference s.d. of the reference's mean
    whiten   (r - mean) / s.d. of the reference

PAR is bounded, steep around the reference and flat far above it, so that the last bit of proxy is worth little. None of
them changes which of two completions is better (clip and PAR may make them equal), so none helps best-of-n.
"""

from typing import Literal, NamedTuple

import numpy as np
from scipy.special import expit

ShapingName = Literal["none", "par", "clip", "whiten"]


def par(reward: np.ndarray, reference: np.ndarray, *, slope: float = 1.0) -> np.ndarray:
    """Rewards [n] to (0, 1), against reference rewards [m], or [n, m] where each prompt has its own."""
    return np.asarray(expit(slope * (reward[:, None] - np.atleast_2d(reference))).mean(1))


def clip(reward: np.ndarray, reference: np.ndarray, *, limit: float = 3.0) -> np.ndarray:
    """Rewards [n] held within `limit` s.d. of the mean of the reference rewards [m]."""
    reach = limit * reference.std()
    return np.clip(reward, reference.mean() - reach, reference.mean() + reach)


def whiten(reward: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Rewards [n] in s.d. of the reference rewards [m], about their mean; only centred where those do not vary."""
    return np.asarray((reward - reference.mean()) / (reference.std() or 1.0))


class Shaping(NamedTuple):
    """A named shaping with its parameters: the slope of PAR, the reach of clipping in reference s.d."""

    name: ShapingName = "none"
    slope: float = 1.0
    limit: float = 3.0

    def apply(self, reward: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Shaped rewards [n], against reference rewards [m]."""
        if self.name == "par":
            return par(reward, reference, slope=self.slope)
        if self.name == "clip":
            return clip(reward, reference, limit=self.limit)
        return whiten(reward, reference) if self.name == "whiten" else reward

    def ceiling(self, reference: np.ndarray) -> float | None:
        """The highest shaped reward there is, where one can be reached: PAR only nears its bound."""
        return float(clip(np.array([np.inf]), reference, limit=self.limit)[0]) if self.name == "clip" else None


def spread_rows(rewards: np.ndarray, count: int) -> np.ndarray:
    """Rows of `count` rewards that stand for all [n]: those at the quantiles (m + 1/2) / count, lowest first.

    All n rows where there are no more than `count`.
    """
    order = np.argsort(rewards, kind="stable")
    if len(order) <= count:
        return order
    return np.asarray(order[((np.arange(count) + 0.5) / count * len(order)).astype(int)])
