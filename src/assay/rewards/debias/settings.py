"""Settings of de-biasing: named choices that compose; every one is off by default."""

from typing import Literal

from pydantic import Field, field_validator

from assay.records.record import Value
from assay.rewards.features import SURFACE_NAMES, surface_names


class AugmentationSettings(Value):
    """Pairs made by putting other prompts' completions under a prompt (RRM); each new completion is read once more."""

    contrasts: int = Field(default=0, ge=0)
    """New pairs for each pair: this prompt's completion against another prompt's."""
    ties: int = Field(default=0, ge=0)
    """New even pairs for each pair: two completions of another prompt."""


class SmoothingSettings(Value):
    """Labels that move towards the model while it is fitted (iterative data smoothing)."""

    rate: float = Field(default=0.0, ge=0, le=1)
    """How far a label moves to the model's prediction after an epoch; 0 is off."""
    epochs: int = Field(default=4, ge=1)
    """How often labels move."""
    steps: int = Field(default=5, ge=1)
    """Optimiser steps of an epoch."""


class DebiasSettings(Value):
    """What is done against a reward that follows the surface."""

    surface: tuple[str, ...] = ("log_words",)
    """Surface columns that `head` and `removal` work against: log_words, ends_sentence, log_lines, list_marks,
    exclamations, questions, mean_word_length."""
    head: Literal["plain", "nuisance", "odin"] = "plain"
    """How a head is fitted: plain Bradley-Terry; with the surface as regressors that scoring drops; or with a second
    head for length that scoring drops (ODIN; it knows length only)."""
    removal: Literal["none", "residualise", "decorrelate"] = "none"
    """Take what the surface tells out of the features (residualise) or out of the fitted weights (decorrelate)."""
    nuisance_ridge: float = Field(default=0.001, gt=0)
    """Ridge penalty of the surface's weights under `head: nuisance`; below the head's own."""
    odin_correlation: float = Field(default=1.0, ge=0)
    """Weight of ODIN's correlation terms."""
    odin_orthogonality: float = Field(default=1.0, ge=0)
    """Weight of ODIN's orthogonality term."""
    length_span: float = Field(default=0.0, ge=0, le=1)
    """Take the local mean of the reward given length out of each member (LOESS), each local mean over this share of
    the reference's completions; 0 is off, 0.5 a good start."""
    labels: Literal["soft", "hard"] = "soft"
    """Fit on people's probabilities, or on 0 and 1."""
    margin_scale: float = Field(default=0.0, ge=0)
    """Ask the better completion to win by this times the preference's margin in logits; meant for hard labels."""
    augmentation: AugmentationSettings = AugmentationSettings()
    """Pairs that balance what has nothing to do with the prompt."""
    smoothing: SmoothingSettings = SmoothingSettings()
    """Labels that learn from the model."""

    @field_validator("surface")
    @classmethod
    def _columns_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError(f"expected names among {list(SURFACE_NAMES)}; got none")
        return surface_names(value)
