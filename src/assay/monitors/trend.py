"""Trend: whether the end of a curve breaks upward out of the line of what came before.

Takes steps and values of one metric whose sampling error is the same at every checkpoint; yields the slopes before and
after and the z of the last values against the line that least squares puts through the earlier ones. Curves of healthy
runs bend down, so a straight line errs on the side of silence.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RECENT = 2
"""Values at the end that are held against the rest."""
LEAST_EARLIER = 4
"""Values before them without which there is no line to speak of."""


class Break(NamedTuple):
    """Slope a step before and after, and the standardised distance of the last values' mean above the line."""

    earlier_slope: float
    recent_slope: float
    z: float


def upward_break(steps: Sequence[float], values: Sequence[float], *, error: float) -> Break | None:
    """Hold the last two values against the line through the earlier ones; None with fewer than four of these.

    `error` is the standard error of one value. z is standard normal where the curve is a line, as the residual
    variance is known: var = error^2 (1/2 + 1/m + (x - mean)^2 / S) with m earlier values at steps of spread S.
    """
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(x) < LEAST_EARLIER + RECENT:
        return None
    before, after = slice(None, -RECENT), slice(-RECENT, None)
    centre, spread = x[before].mean(), ((x[before] - x[before].mean()) ** 2).sum()
    slope = float(((x[before] - centre) @ y[before]) / spread)
    ahead = x[after].mean() - centre
    surprise = y[after].mean() - (y[before].mean() + slope * ahead)
    variance = error**2 * (1 / RECENT + 1 / (len(x) - RECENT) + ahead**2 / spread)
    recent = float((y[-1] - y[-RECENT - 1]) / (x[-1] - x[-RECENT - 1]))
    return Break(slope, recent, float(surprise / math.sqrt(variance)))
