"""Losses: pure functions of small tensors, one method a file, formula and paper beside the line."""

from assay.alignment.losses.dpo import DpoTerms, dpo_loss
from assay.alignment.losses.sft import sft_loss

__all__ = ["DpoTerms", "dpo_loss", "sft_loss"]
