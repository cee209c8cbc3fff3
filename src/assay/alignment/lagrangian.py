"""Lagrangian: the constraints of a run: what is measured of a draw moves the multipliers, and they the reward.

Once a draw, on the policy's own samples:

    value      mean over the draw of a cost, of the reward, or the KL to the reference (k1)
    multiplier moved by the controller of `constraints` by how far the value is on the wrong side of its limit
    reward     (r - sum_i m_i c_i) / (1 + sum_i m_i) of each completion; where a value must not fall c_i is its negative
    KL         the KL coefficient plus the multiplier of the KL, outside that division

Centring and leaving one out are linear, so advantages of this reward are `constrained_advantages` of the single ones; a
group's s.d. then divides them once, as a whole, and no cost is blown up because it varies little.

A constraint on the reward itself is a proxy point (Moskovitz et al. 2023, arXiv 2310.04373): the reward is pushed up to
a value beyond which it stops to stand for the gold, and held there. So is one that a component should come up to
(`at_least`). Where the point lies, an over-optimisation curve of an earlier run tells.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assay.alignment.constraints import Constraint, Gains, Multiplier, constrained_advantages
from assay.alignment.settings import ConstraintSettings

KL, REWARD = "kl", "reward"


class Lagrangian:
    """The multipliers of a run by the name of what they constrain; without constraints it changes nothing."""

    def __init__(self, settings: Sequence[ConstraintSettings]) -> None:
        self._multipliers = {one.name: _multiplier(one) for one in settings}
        self._values: dict[str, float] = {}
        self._updated_at: int | None = None

    @property
    def costs(self) -> tuple[str, ...]:
        """Names of what must be scored a completion, beside reward and KL."""
        return tuple(name for name in self._multipliers if name not in (KL, REWARD))

    @property
    def kl_coef(self) -> float:
        """What the KL's multiplier adds to the KL coefficient."""
        return self._multipliers[KL].value if KL in self._multipliers else 0.0

    def update(self, step: int, kl: float, reward: np.ndarray, costs: Mapping[str, np.ndarray]) -> None:
        """Move every multiplier by the draw of a step; a second time at the same step does nothing.

        Raises TrainingError where a value is not finite.
        """
        if step == self._updated_at:
            return
        means = {KL: kl, REWARD: float(np.mean(reward)), **{name: float(np.mean(c)) for name, c in costs.items()}}
        for name, multiplier in self._multipliers.items():
            self._values[name] = means[name]
            multiplier.update(means[name])
        self._updated_at = step

    def reward(self, reward: np.ndarray, costs: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the policy learns from [completions]: the reward less the priced costs, at its own scale."""
        per_completion = {REWARD: np.asarray(reward, dtype=np.float64), **costs}
        priced = [(m, per_completion[name]) for name, m in self._multipliers.items() if name != KL]
        signed = [cost if m.constraint.direction == "at_most" else -np.asarray(cost) for m, cost in priced]
        return constrained_advantages(per_completion[REWARD], signed, multipliers=[m.value for m, _ in priced])

    def observed(self) -> dict[str, float]:
        """Each constraint's value, multiplier, violation, dual gap and what tells of trouble, for logs and monitors."""
        found = {f"constraints/{name}/value": value for name, value in self._values.items()}
        for multiplier in self._multipliers.values():
            found |= multiplier.observed()
        return found

    def state(self) -> dict[str, Any]:
        """Plain data from which `restore` goes on exactly."""
        multipliers = {name: multiplier.state() for name, multiplier in self._multipliers.items()}
        return {"multipliers": multipliers, "values": self._values, "updated_at": self._updated_at}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for name, own in state["multipliers"].items():
            self._multipliers[name].restore(own)
        self._values, self._updated_at = dict(state["values"]), state["updated_at"]


def _multiplier(settings: ConstraintSettings) -> Multiplier:
    constraint = Constraint(settings.name, settings.limit, settings.direction)
    gains = Gains(settings.k_p, settings.k_i, settings.k_d, settings.smoothing)
    return Multiplier(constraint, gains, start=settings.start, bound=settings.bound)
