"""Arms: the ways of optimising that are compared, by name. An arm is a reward, an aggregation and what watches the run.

Nothing here, and nothing that this module imports, can reach gold.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from assay.monitors import MonitorBank, build_monitors, default_monitors
from assay.rewards import RewardSettings
from assay.rewards.debias.settings import DebiasSettings
from assay.rewards.settings import OutlierSettings

RewardKind = Literal["plain", "stack"]

KL_BUDGET_NATS = 4.0
"""Nats a completion that the fixed budget allows, the same for all seeds."""

SURFACE = ("log_words", "exclamations")
"""The surface that arms of ours work against."""
LAYERS = (0.5, 0.75)
"""Depths of the base that all rewards read: the second and third of its four layers."""
REWARDS: Mapping[RewardKind, RewardSettings] = MappingProxyType(
    {
        "plain": RewardSettings(layers=LAYERS),
        "stack": RewardSettings(
            layers=LAYERS,
            aggregation="wco",
            debias=DebiasSettings(surface=SURFACE, head="nuisance", removal="residualise"),
            outliers=OutlierSettings(weight=1.0, quantile=0.9),
        ),
    }
)
"""The ensemble as it comes, and the stack's: the named surface taken out, and a price on what is unlike the base."""


class LoopArm(NamedTuple):
    """An arm that trains the policy; `bank` makes its monitors, None leaves it unguarded."""

    reward: RewardKind
    aggregation: str
    bank: Callable[[], MonitorBank] | None = None

    @property
    def twin(self) -> str:
        """The unguarded run of the same reward and aggregation, from which the best stop is known."""
        return f"{self.reward}-{self.aggregation}"


class LabelArm(NamedTuple):
    """An arm that trains on the labels themselves, by DPO; `surface` names the columns that the policy shall not learn.

    `bank` makes its monitors, None leaves it unguarded.
    """

    surface: tuple[str, ...] = ()
    bank: Callable[[], MonitorBank] | None = None

    @property
    def twin(self) -> str:
        """The unguarded run of the same loss, from which the best stop is known."""
        return f"labels-{self.surface}"


def budget_bank() -> MonitorBank:
    """A fixed KL budget and nothing else."""
    return MonitorBank(build_monitors({"kl_budget": {"budget_nats": KL_BUDGET_NATS}}))


def default_bank() -> MonitorBank:
    """The monitors that every guarded run has."""
    return MonitorBank(default_monitors())


LOOP_ARMS: Mapping[str, LoopArm] = MappingProxyType(
    {
        "single": LoopArm("plain", "single"),
        "mean": LoopArm("plain", "mean"),
        "wco": LoopArm("plain", "wco"),
        "uwo": LoopArm("plain", "uwo"),
        "wco, KL budget": LoopArm("plain", "wco", budget_bank),
        "uwo, monitors": LoopArm("plain", "uwo", default_bank),
        "stack": LoopArm("stack", "wco"),
        "Assay": LoopArm("stack", "wco", default_bank),
    }
)
"""The loops, unguarded ones before the guarded ones that share their path."""

LABEL_ARMS: Mapping[str, LabelArm] = MappingProxyType(
    {
        "DPO": LabelArm(),
        "DPO, surface out": LabelArm(SURFACE),
        "Assay DPO": LabelArm(SURFACE, default_bank),
    }
)
"""DPO on the same labels that rewards are learnt from, the unguarded ones before the guarded one."""

BEST_OF_N_ARMS: Mapping[str, LoopArm] = MappingProxyType(
    {f"best-of-n {name}": LOOP_ARMS[name] for name in ("single", "mean", "wco", "uwo", "stack")}
)
"""Selection instead of training, by the same rewards."""
