"""Effects: how far a checkpoint lies from its run's reference on each channel of hacking, with both sampling errors.

Takes the values of the first observation and of one later; yields a size in the channel's own unit, the part of its
standard error that is this checkpoint's, and the part that is the reference's and thus the same at every checkpoint.
None where the observation lacks the channel. Magnitudes have the noise that chance alone would give taken off.

A spread that an observation does not carry follows from its count and a stated assumption: disagreement has a
coefficient of variation of 0.5 over completions, the halves' difference a standard deviation of 0.8 (they correlate
by 0.7). The constants are generous for the ensembles measured here.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

COUNT = "completions/count"
DISAGREEMENT, DISAGREEMENT_SD = "rewards/disagreement", "rewards/disagreement_sd"
OUTLIER_RATE = "rewards/outlier_rate"
MEAN_LENGTH, LENGTH_SD = "completions/mean_length", "completions/length_sd"
HALF_A, HALF_B, HALF_GAP_SD = "rewards/half_a", "rewards/half_b", "rewards/half_gap_sd"
STYLE, SD = "style/", "_sd"
"""A feature of style is the pair `style/<name>` and `style/<name>_sd`."""

EXPECTED_OUTLIERS = 0.01
"""The cut is the reference's 99th percentile."""
DISAGREEMENT_VARIATION = 0.5
HALF_GAP_SPREAD = 0.8
SMALLEST = 1e-9
SMALLEST_LENGTH_SD = 0.5
SMALLEST_STYLE_SD = 0.3
"""Shares near 0 have hardly any spread; a tenth of the completions does, and a change is measured against that."""

Values = Mapping[str, float]


class Effect(NamedTuple):
    """A size, and its standard error split into this checkpoint's part and the reference's."""

    size: float
    error: float
    reference_error: float

    @property
    def total_error(self) -> float:
        """Standard error of the size as a comparison of two samples."""
        return math.hypot(self.error, self.reference_error)


def disagreement_effect(start: Values, here: Values) -> Effect | None:
    """Relative growth of the mean disagreement of the reward's members: 0.25 is a quarter more than at the start."""
    before, now = _finite(start, DISAGREEMENT), _finite(here, DISAGREEMENT)
    if before is None or now is None or before < SMALLEST:
        return None
    spread_before = _finite(start, DISAGREEMENT_SD, DISAGREEMENT_VARIATION * before) or 0.0
    spread_now = _finite(here, DISAGREEMENT_SD, DISAGREEMENT_VARIATION * now) or 0.0
    ratio = now / before
    error = spread_now / before / math.sqrt(count(here))
    return Effect(ratio - 1, error, ratio * spread_before / before / math.sqrt(count(start)))


def outlier_effect(start: Values, here: Values) -> Effect | None:
    """Rise of the share of outliers above 1 %, or above the share at the start where that is higher."""
    before, now = _finite(start, OUTLIER_RATE), _finite(here, OUTLIER_RATE)
    if before is None or now is None:
        return None
    before, now = min(1.0, max(0.0, before)), min(1.0, max(0.0, now))
    is_measured = before > EXPECTED_OUTLIERS
    reference_error = _share_error(before, count(start)) if is_measured else 0.0
    return Effect(now - max(before, EXPECTED_OUTLIERS), _share_error(now, count(here)), reference_error)


def surface_effect(start: Values, here: Values) -> Effect | None:
    """Length of the vector of shifts of all named surface features, each in its reference standard deviations."""
    shifts = surface_shifts(start, here)
    if not shifts:
        return None
    return _magnitude(list(shifts.values()))


def surface_shifts(start: Values, here: Values) -> dict[str, Effect]:
    """Shift of each named surface feature that both observations carry, in its reference standard deviations."""
    pairs = {MEAN_LENGTH: (LENGTH_SD, SMALLEST_LENGTH_SD)}
    styles = [name for name in here if name.startswith(STYLE) and not name.endswith(SD)]
    pairs |= {name: (name + SD, SMALLEST_STYLE_SD) for name in sorted(styles)}
    shifts = {name: _shift(start, here, name, spread, least) for name, (spread, least) in pairs.items()}
    return {name: shift for name, shift in shifts.items() if shift is not None}


def split_gap_effect(start: Values, here: Values) -> Effect | None:
    """Gap between the gains of the proxy's two halves, either way, in reference standard deviations."""
    a, b, a0, b0 = (_finite(values, name) for values in (here, start) for name in (HALF_A, HALF_B))
    if a is None or b is None or a0 is None or b0 is None:
        return None
    error = (_finite(here, HALF_GAP_SD, HALF_GAP_SPREAD) or 0.0) / math.sqrt(count(here))
    reference_error = (_finite(start, HALF_GAP_SD, HALF_GAP_SPREAD) or 0.0) / math.sqrt(count(start))
    return _magnitude([Effect((a - b) - (a0 - b0), error, reference_error)])


CHANNELS: Mapping[str, Callable[[Values, Values], Effect | None]] = {
    "disagreement": disagreement_effect,
    "outliers": outlier_effect,
    "surface": surface_effect,
    "split_gap": split_gap_effect,
}
"""The channels by name."""
NEEDED: Mapping[str, frozenset[str]] = {
    "disagreement": frozenset({DISAGREEMENT}),
    "outliers": frozenset({OUTLIER_RATE}),
    "surface": frozenset({MEAN_LENGTH, LENGTH_SD}),
    "split_gap": frozenset({HALF_A, HALF_B}),
}
"""What an observation must carry for each channel at the least; `surface` takes any `style/` pair as well."""


def count(values: Values) -> float:
    """Number of completions behind an observation, at least 1."""
    return max(1.0, values.get(COUNT, 1.0))


def _shift(start: Values, here: Values, name: str, spread: str, least: float) -> Effect | None:
    before, now, sd_before, sd_now = (_finite(v, key) for key in (name, spread) for v in (start, here))
    if before is None or now is None or sd_before is None or sd_now is None:
        return None
    scale = max(sd_before, least)
    errors = max(sd_now, least) / scale / math.sqrt(count(here)), 1 / math.sqrt(count(start))
    return Effect((now - before) / scale, *errors)


def _magnitude(effects: list[Effect]) -> Effect:
    """Euclidean length of the sizes, less what their errors alone would add to its square."""
    excess = sum(effect.size**2 - effect.error**2 - effect.reference_error**2 for effect in effects)
    error = math.sqrt(sum(effect.error**2 for effect in effects) / len(effects))
    reference_error = math.sqrt(sum(effect.reference_error**2 for effect in effects) / len(effects))
    return Effect(math.sqrt(max(0.0, excess)), error, reference_error)


def _share_error(share: float, n: float) -> float:
    """Standard error of a share, with one success and one failure added so that a share of 0 is not certain."""
    smoothed = (share * n + 1) / (n + 2)
    return math.sqrt(smoothed * (1 - smoothed) / n)


def _finite(values: Values, name: str, default: float | None = None) -> float | None:
    value = values.get(name)
    return value if value is not None and math.isfinite(value) else default
