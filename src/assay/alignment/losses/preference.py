"""Preference losses by name: the names of TRL where TRL has the loss, and what each needs.

`rpo` is `sigmoid` with an SFT term, `orpo` and `cpo` are their own preference term with one: `sft_weight_of` says how
much of it is theirs.
"""

from typing import Literal, NamedTuple, get_args

from assay.alignment.losses.chipo import chipo_loss
from assay.alignment.losses.cpo import cpo_loss
from assay.alignment.losses.dpo import dpo_loss, sigmoid_norm_loss
from assay.alignment.losses.hinge import hinge_loss
from assay.alignment.losses.ipo import ipo_loss
from assay.alignment.losses.kto import kto_loss
from assay.alignment.losses.orpo import orpo_loss
from assay.alignment.losses.pairs import Pairs, PairTerms
from assay.alignment.losses.simpo import simpo_loss
from assay.alignment.losses.smoothing import conservative, robust
from assay.records.errors import ConfigError, explain

LossType = Literal["sigmoid", "robust", "sigmoid_norm", "hinge", "ipo", "kto", "chipo", "rpo", "orpo", "cpo", "simpo"]
REFERENCE_FREE = frozenset({"orpo", "cpo", "simpo"})
"""Losses that never look at the reference."""
WITHOUT_MARGIN = frozenset({"ipo", "kto"})
"""Losses with a target of their own, in which a preference's margin has no place."""
WITH_SFT_TERM = frozenset({"rpo", "orpo", "cpo"})
"""Losses that their papers define with the likelihood of the chosen completion, at weight 1."""


class Knobs(NamedTuple):
    """Numbers that turn the losses, by the names of the settings."""

    beta: float
    label_smoothing: float = 0.0
    simpo_gamma: float = 0.5
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0
    reward_limit: float = 10.0


def preference_loss(name: str, pairs: Pairs, knobs: Knobs) -> PairTerms:
    """The named loss of each pair. Labels are smoothed first; `robust` takes the smoothing back instead.

    Raises ConfigError for a name that is not here.
    """
    beta, eps = knobs.beta, knobs.label_smoothing
    softened = robust(pairs.probability, eps) if name == "robust" else conservative(pairs.probability, eps)
    pairs = pairs._replace(probability=softened)
    match name:
        case "sigmoid" | "robust" | "rpo":
            ref_chosen, ref_rejected = pairs.ref_chosen, pairs.ref_rejected
            label, margin = pairs.probability, pairs.margin
            return dpo_loss(
                pairs.chosen, pairs.rejected, ref_chosen, ref_rejected, beta=beta, probability=label, margin=margin
            )
        case "sigmoid_norm":
            return sigmoid_norm_loss(pairs, beta=beta)
        case "hinge":
            return hinge_loss(pairs, beta=beta)
        case "ipo":
            return ipo_loss(pairs, beta=beta)
        case "kto":
            weights = knobs.desirable_weight, knobs.undesirable_weight
            return kto_loss(pairs, beta=beta, desirable_weight=weights[0], undesirable_weight=weights[1])
        case "chipo":
            return chipo_loss(pairs, beta=beta, reward_limit=knobs.reward_limit)
        case "orpo":
            return orpo_loss(pairs, beta=beta)
        case "cpo":
            return cpo_loss(pairs, beta=beta)
        case "simpo":
            return simpo_loss(pairs, beta=beta, gamma=knobs.simpo_gamma)
    expected = f"a loss_type out of {', '.join(get_args(LossType))}"
    raise ConfigError(explain(expected=expected, got=repr(name), do="mend the setting"))


def sft_weight_of(name: str) -> float:
    """Weight of the chosen completions' likelihood that belongs to the named loss itself."""
    return 1.0 if name in WITH_SFT_TERM else 0.0
