"""Shares: counts and differences that are shown with what chance may have done to them."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

_Z = 1.959964


class Share(NamedTuple):
    """`hits` of `n`, with its 95 % Wilson interval; without answers the interval is everything."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """The share, or None where there is nothing to share."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval at 95 %."""
        if not self.n:
            return 0.0, 1.0
        p = self.hits / self.n
        middle, half = p + _Z * _Z / (2 * self.n), _Z * sqrt(p * (1 - p) / self.n + _Z * _Z / (4 * self.n * self.n))
        scale = 1 + _Z * _Z / self.n
        return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


class Gap(NamedTuple):
    """A mean of `n` differences with the half-width of its 95 % normal interval; None where too few were seen."""

    mean: float | None
    half: float | None
    n: int


def share_of(hits: Sequence[bool]) -> Share:
    """How many of them."""
    return Share(sum(hits), len(hits))


def gap_of(differences: Sequence[float]) -> Gap:
    """Their mean; an interval needs two."""
    n = len(differences)
    if not n:
        return Gap(None, None, 0)
    mean = sum(differences) / n
    if n < 2:
        return Gap(mean, None, n)
    spread = sqrt(sum((one - mean) ** 2 for one in differences) / (n - 1))
    return Gap(mean, _Z * spread / sqrt(n), n)
