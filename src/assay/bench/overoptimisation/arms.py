"""Arms: the ways of making one reward that are compared, by name; none of them sees gold.

An arm takes what was seen and fitted and yields `Rewarded`. Where it stops is a name that the measuring code looks up:
`final` goes to the end of its path, `kl_budget` stops at a declared KL. Assay's own arm is in `stack`. The
two arms that need gold, the oracle's stop and gold as a reward, live with the measuring code.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from assay.bench.overoptimisation.fitting import Fitted, Scored
from assay.bench.overoptimisation.world import Seen
from assay.records.record import Value
from assay.rewards.aggregation import aggregate
from assay.rewards.inference_time.mbr import mbr_rewards

Stop = Literal["final", "kl_budget"]


class PeerConstants(Value):
    """Constants of peers that have a knob, chosen for them on development seeds."""

    kl_budget_nats: float = Field(default=4.2, gt=0)
    """KL at which the fixed budget stops, in every regime."""
    pessimism_b: float = Field(default=0.01, gt=0)
    """Regularisation of InferenceTimePessimism."""
    mbr_weight: float = Field(default=5.0, ge=0)
    """Weight of the mean similarity in MBR-BoN."""


class Rewarded(NamedTuple):
    """A reward and the members behind it, of candidates [prompts, N], [prompts, N, k], of reference [m], [m, k]."""

    reward: np.ndarray
    members: np.ndarray
    reference_reward: np.ndarray
    reference_members: np.ndarray


class Arm(NamedTuple):
    """A way of making a reward, how it is optimised and where it stops."""

    reward: Callable[[Seen, Fitted, PeerConstants], Rewarded]
    stop: Stop = "final"
    selection: Literal["best_of_n", "pessimism"] = "best_of_n"


def aggregated(scored: Scored, name: str) -> Rewarded:
    """One of the product's aggregations over members."""
    prompts, count, k = scored.candidates.shape
    reward = aggregate(scored.candidates.reshape(-1, k), name).reshape(prompts, count)
    return Rewarded(reward, scored.candidates, aggregate(scored.reference, name), scored.reference)


def _by(name: str) -> Callable[[Seen, Fitted, PeerConstants], Rewarded]:
    return lambda seen, fitted, constants: aggregated(fitted.plain, name)


def _alone(which: Literal["single", "averaged", "odin", "loess"]) -> Callable[[Seen, Fitted, PeerConstants], Rewarded]:
    def reward(seen: Seen, fitted: Fitted, constants: PeerConstants) -> Rewarded:
        scored: Scored = getattr(fitted, which)
        return aggregated(scored, "single")

    return reward


def length_only(seen: Seen, fitted: Fitted, constants: PeerConstants) -> Rewarded:
    """Length as the reward."""
    ours, theirs = seen.candidates.surface[..., 0], seen.reference.surface[:, 0]
    return Rewarded(ours, ours[..., None], theirs, theirs[:, None])


def mbr(seen: Seen, fitted: Fitted, constants: PeerConstants) -> Rewarded:
    """The mean of the members plus the mean cosine with the prompt's other candidates."""
    plain = aggregated(fitted.plain, "mean")
    return plain._replace(reward=mbr_rewards(plain.reward, seen.candidates.states, constants.mbr_weight))


MEAN = _by("mean")

PEERS: Mapping[str, Arm] = MappingProxyType(
    {
        "single": Arm(_alone("single")),
        "mean": Arm(MEAN),
        "WCO": Arm(_by("wco")),
        "UWO": Arm(_by("uwo")),
        "entropic": Arm(_by("entropic")),
        "WARM": Arm(_alone("averaged")),
        "LOESS": Arm(_alone("loess")),
        "ODIN": Arm(_alone("odin")),
        "length only": Arm(length_only),
        "KL budget": Arm(MEAN, stop="kl_budget"),
        "pessimism": Arm(MEAN, selection="pessimism"),
        "MBR-BoN": Arm(mbr),
    }
)
"""Every arm but Assay's, and those that need gold. Arms that differ only in their stop share one reward."""
