"""LOESS: takes the local mean of a reward, given length, out of the reward, after it was fitted.

Huang et al. 2024 (arXiv 2409.17407): r - E[r | length], the mean by locally weighted linear regression (Cleveland
1979, tricube weights over the nearest share `span` of the data). The regression is solved on a grid of length quantiles
and read off by straight lines, so 65,000 points take a fraction of a second; beyond the grid the curve goes on with the
slope of its end, so that a completion longer than any seen gains nothing by its length.

Catches: length in any smooth shape. Does not catch: other surface; and it takes away what of quality goes with length.
"""

from typing import NamedTuple

import numpy as np

GRID = 65
TRIM = 0.005
"""Share of completions beyond each end of the grid: the extreme lengths are too few to draw a mean of their own."""


class LengthCurve(NamedTuple):
    """Mean reward `heights` [g] at the lengths `grid` [g], increasing, and the `slopes` [2] of its two ends."""

    grid: np.ndarray
    heights: np.ndarray
    slopes: np.ndarray

    def mean(self, lengths: np.ndarray) -> np.ndarray:
        """Mean reward [n] of completions of these lengths [n]."""
        inside = np.interp(lengths, self.grid, self.heights)
        below = self.slopes[0] * np.minimum(lengths - self.grid[0], 0)
        above = self.slopes[1] * np.maximum(lengths - self.grid[-1], 0)
        return np.asarray(inside + below + above)

    def residual(self, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Rewards [n] less the mean for their lengths [n]."""
        return np.asarray(values - self.mean(lengths))


def fit_loess(values: np.ndarray, lengths: np.ndarray, *, span: float = 0.5) -> LengthCurve:
    """The curve of rewards [n] over lengths [n]; each point of it rests on the nearest `span` of the data.

    A curve needs lengths that differ; where they do not, it is the mean. Raises ValueError for a span outside (0, 1].
    """
    if not 0 < span <= 1:
        raise ValueError(f"expected a span above 0 and at most 1; got {span}")
    order = np.argsort(lengths, kind="stable")
    x, y = np.asarray(lengths, dtype=np.float64)[order], np.asarray(values, dtype=np.float64)[order]
    grid = np.unique(np.quantile(x, np.linspace(TRIM, 1 - TRIM, GRID)))
    count = min(len(x), max(3, round(span * len(x))))
    lines = np.array([_line(x, y, at, count) for at in grid])
    return LengthCurve(grid, lines[:, 0], lines[[0, -1], 1])


def _line(x: np.ndarray, y: np.ndarray, at: float, count: int) -> tuple[float, float]:
    """Height at `at`, and slope, of the line through the `count` points of sorted x [n] that are nearest to it."""
    start = _nearest(x, at, count)
    offset, near = x[start : start + count] - at, y[start : start + count]
    reach = max(np.abs(offset).max(), 1e-12) * (1 + 1e-9)
    weight = (1 - (np.abs(offset) / reach) ** 3) ** 3
    total = weight.sum()
    centre, level = weight @ offset / total, weight @ near / total
    spread = weight @ (offset - centre) ** 2
    if spread <= 1e-12 * total * reach**2:
        return level, 0.0
    slope = weight @ ((offset - centre) * near) / spread
    return level - slope * centre, slope


def _nearest(x: np.ndarray, at: float, count: int) -> int:
    """First index of the window of `count` points of sorted x nearest to `at`, by bisection."""
    low, high = 0, len(x) - count
    while low < high:
        middle = (low + high) // 2
        if at - x[middle] > x[middle + count] - at:
            low = middle + 1
        else:
            high = middle
    return low
