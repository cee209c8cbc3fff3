"""Constraints: Lagrangian multipliers that a controller moves until costs, or the KL, keep to their limits.

    maximise the reward  subject to  value_i <= limit_i (or >= limit_i)
    violation  = value - limit, or limit - value
    multiplier = clip( K_p violation + I + K_d max(0, rise of the violation), 0, bound )

The controller is that of Stooke et al. 2020 (arXiv 2007.03964, algorithm 2). With only `k_i` it is the dual ascent of
safe RLHF (Dai et al. 2023, arXiv 2310.12773); the proportional and derivative terms damp its oscillation. A multiplier
enters the loss through `constrained_advantages`; where the constraint is on the KL it is the KL coefficient.

What it catches: `observed` tells of a multiplier that swings (`oscillation`) or lies at its bound while the limit is
still broken (`at_bound`): a limit that cannot be met, a biased cost, or gains too large.
What it does not catch: a cost that measures the wrong thing. The multiplier then enforces the wrong thing.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from assay.records.errors import ConfigError, TrainingError, explain

WINDOW = 8
"""Updates over which oscillation is told."""


class Constraint(NamedTuple):
    """What must hold of a measured mean, in that value's own unit: `at_most` or `at_least` the limit.

    `at_least` serves proxy points: a component that should come up to a value and need not go beyond it (Moskovitz et
    al. 2023, arXiv 2310.04373).
    """

    name: str
    limit: float
    direction: Literal["at_most", "at_least"] = "at_most"

    def violation(self, value: float) -> float:
        """How far the value is on the wrong side; below 0 where the constraint holds."""
        return value - self.limit if self.direction == "at_most" else self.limit - value


class Gains(NamedTuple):
    """How strongly the controller answers to a violation, to its sum over updates, and to its rise.

    `smoothing` in [0, 1) is the share of the past in the smoothed violation that the first and last term see.
    """

    k_p: float = 0.1
    k_i: float = 0.05
    k_d: float = 0.0
    smoothing: float = 0.0


class Multiplier:
    """One constraint's multiplier in [0, `bound`], moved by `update` after each measurement.

    Anti-windup: the integral never leaves [0, `bound`], and while the multiplier is held at its bound the integral
    takes up no more violation, so it comes back at once when the violation turns. Raises ConfigError for gains or
    bounds that cannot work.
    """

    def __init__(self, constraint: Constraint, gains: Gains, *, start: float = 0.0, bound: float = 10.0) -> None:
        if min(gains[:3]) < 0 or not any(gains[:2]) or not 0 <= gains.smoothing < 1 or not 0 <= start <= bound:
            expected = "gains >= 0, k_p or k_i above 0, a smoothing in [0, 1), a start between 0 and the bound"
            got = f"{gains}, start {start:g}, bound {bound:g}"
            raise ConfigError(explain(expected=expected, got=got, do=f"mend the settings of {constraint.name}"))
        self.constraint, self.bound = constraint, bound
        self.value = start
        self._gains, self._integral = gains, start
        self._smoothed: float | None = None
        self._violations: list[float] = []
        self._moves: list[float] = []
        self._updates_at_bound = 0

    def update(self, value: float) -> float:
        """The multiplier after a measured value. Raises TrainingError, and moves nothing, where that is not finite."""
        if not np.isfinite(value):
            do = "look at the cost's scorer; the multiplier stays where it was"
            raise TrainingError(explain(expected=f"a finite value of {self.constraint.name}", got=str(value), do=do))
        violation = self.constraint.violation(value)
        before, past = self._smoothed, self._gains.smoothing
        self._smoothed = violation if before is None else past * before + (1 - past) * violation
        rise = 0.0 if before is None else max(0.0, self._smoothed - before)
        direct = self._gains.k_p * self._smoothed + self._gains.k_d * rise
        integral = float(np.clip(self._integral + self._gains.k_i * violation, 0.0, self.bound))
        wanted = direct + integral
        if wanted <= self.bound or violation <= 0:
            self._integral = integral
        after = float(np.clip(wanted, 0.0, self.bound))
        self._violations = [*self._violations, violation][-WINDOW:]
        self._moves = [*self._moves, after - self.value][-WINDOW:]
        self._updates_at_bound = self._updates_at_bound + 1 if after >= self.bound and violation > 0 else 0
        self.value = after
        return after

    @property
    def dual_gap(self) -> float:
        """Lagrangian now less its least over multipliers in [0, bound], at this policy: bound max(0, v) - value v.

        0 where the multiplier is the best answer to the last violation v; what the policy could still gain it does not
        show. 0 before the first update.
        """
        violation = self._violations[-1] if self._violations else 0.0
        return self.bound * max(0.0, violation) - self.value * violation

    @property
    def oscillation(self) -> float:
        """Share of neighbouring moves of the multiplier in the window that point opposite ways, moves of 0 left out."""
        signs = [move > 0 for move in self._moves if move != 0]
        return float(np.mean([a != b for a, b in zip(signs, signs[1:], strict=False)])) if len(signs) > 1 else 0.0

    def observed(self) -> dict[str, float]:
        """Numbers for an observation; `at_bound` counts the updates in a row at the bound with the limit broken."""
        prefix = f"constraints/{self.constraint.name}"
        return {
            f"{prefix}/multiplier": self.value,
            f"{prefix}/violation": self._violations[-1] if self._violations else 0.0,
            f"{prefix}/dual_gap": self.dual_gap,
            f"{prefix}/oscillation": self.oscillation,
            f"{prefix}/at_bound": float(self._updates_at_bound),
        }

    def state(self) -> dict[str, Any]:
        """Plain data from which `restore` goes on exactly."""
        return {
            "value": self.value,
            "integral": self._integral,
            "smoothed": self._smoothed,
            "violations": self._violations,
            "moves": self._moves,
            "updates_at_bound": self._updates_at_bound,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.value, self._integral, self._smoothed = state["value"], state["integral"], state["smoothed"]
        self._violations, self._moves = list(state["violations"]), list(state["moves"])
        self._updates_at_bound = state["updates_at_bound"]


def constrained_advantages(
    reward: np.ndarray, costs: Sequence[np.ndarray], *, multipliers: Sequence[float]
) -> np.ndarray:
    """(A_r - sum_i m_i A_i) / (1 + sum_i m_i) [completions]: the division keeps the step size where multipliers grow.

    `costs` are advantages of what must not rise; for a constraint `at_least` hand in the negative.
    """
    total = np.array(reward, dtype=np.float64)
    for cost, multiplier in zip(costs, multipliers, strict=True):
        total = total - multiplier * np.asarray(cost, dtype=np.float64)
    return total / (1 + float(sum(multipliers)))
