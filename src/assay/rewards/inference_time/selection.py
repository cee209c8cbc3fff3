"""Selection: what the rules for choosing among N candidates have in common. Takes rewards, yields weights over them.

A rule gives the probability of each candidate, not a draw: the expectation of any score under the rule is then a sum,
with no sampling noise, and so is the distance to the base policy, under which all N are alike.
"""

from typing import Protocol

import numpy as np
from scipy.special import xlogy

from assay.records.errors import ConfigError, InputError, explain


class Selection(Protocol):
    """A rule with one knob: rewards [prompts, N] to weights [prompts, N], each row a distribution."""

    def __call__(self, rewards: np.ndarray, knob: float, /) -> np.ndarray:
        """The probability with which each candidate is chosen."""


def selection_kl(weights: np.ndarray) -> np.ndarray:
    """KL in nats [prompts] of selection weights [prompts, N] to the base, uniform over the N; at most ln N."""
    return np.asarray(xlogy(weights, weights * weights.shape[1]).sum(1))


def expected(weights: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Expectation [prompts] of any score [prompts, N] of the candidates under weights [prompts, N]."""
    return np.asarray((weights * scores).sum(1))


def as_rewards(rewards: np.ndarray) -> np.ndarray:
    """Rewards as float64 [prompts, N]. Raises InputError for another shape, no candidates, or NaN and infinity."""
    values = np.asarray(rewards, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] == 0 or not np.isfinite(values).all():
        got = f"shape {values.shape}" if values.ndim != 2 or values.size == 0 else "NaN or infinity"
        do = "give one row a prompt, and score every candidate"
        raise InputError(explain(expected="finite rewards [prompts, candidates]", got=got, do=do))
    return values


def require_knob(name: str, value: float, *, above: float | None = None, least: float | None = None) -> None:
    """Raise ConfigError where a knob is not a finite number above, or at least, its bound."""
    is_low = (above is not None and not value > above) or (least is not None and not value >= least)
    if is_low or not np.isfinite(value):
        bound = f"above {above}" if above is not None else f"of at least {least}"
        do = "choose it by `hedge`, or on prompts kept for it"
        raise ConfigError(explain(expected=f"a finite {name} {bound}", got=repr(value), do=do))
