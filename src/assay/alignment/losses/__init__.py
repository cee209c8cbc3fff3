"""Losses: pure functions of small typed batches of log-probabilities; one method a file, with formula and paper.

Preference losses take `Pairs` (`pairs`) and are chosen by name in `preference`; the SFT term is in `sft`, what noise
does to labels in `smoothing`. Policy-gradient losses take a `TokenBatch` (`trajectories`); their advantages come from
`alignment.estimators`. `gkd` compares whole next-token distributions.
"""

from assay.alignment.losses.dpo import dpo_loss
from assay.alignment.losses.gkd import generalised_jsd
from assay.alignment.losses.grpo import grpo_loss
from assay.alignment.losses.pairs import Pairs, PairTerms
from assay.alignment.losses.ppo import PpoTerms, Values, ppo_loss
from assay.alignment.losses.preference import REFERENCE_FREE, Knobs, LossType, preference_loss, sft_weight_of
from assay.alignment.losses.reinforce import reinforce_loss
from assay.alignment.losses.rloo import rloo_loss
from assay.alignment.losses.sft import chosen_nll, sft_loss
from assay.alignment.losses.trajectories import PolicyTerms, TokenBatch

__all__ = [
    "REFERENCE_FREE",
    "Knobs",
    "LossType",
    "PairTerms",
    "Pairs",
    "PolicyTerms",
    "PpoTerms",
    "TokenBatch",
    "Values",
    "chosen_nll",
    "dpo_loss",
    "generalised_jsd",
    "grpo_loss",
    "ppo_loss",
    "preference_loss",
    "reinforce_loss",
    "rloo_loss",
    "sft_loss",
    "sft_weight_of",
]
