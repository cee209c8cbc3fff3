"""Settings: what a run of the trainer is told, with the names that users know from TRL."""

from typing import Literal

from pydantic import Field

from assay.lm import LoraSettings
from assay.records.record import Value


class TrainerSettings(Value):
    """Settings of the step loop."""

    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak step size of AdamW."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the step size rises from zero."""
    lr_scheduler_type: Literal["constant", "linear"] = "linear"
    """After the warm-up: hold the step size, or let it fall to zero."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's decay of the adapter weights."""
    save_steps: int = Field(default=10, ge=1)
    """A checkpoint of everything needed to resume is kept after every so many steps."""
    lora: LoraSettings = LoraSettings()
    """Size and place of the adapter."""


class SftSettings(TrainerSettings):
    """Supervised fine-tuning on demonstrations."""

    num_train_epochs: int = Field(default=2, ge=1)
    """Passes over the demonstrations."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Demonstrations a step."""


class DpoSettings(TrainerSettings):
    """DPO on preferences that people gave."""

    beta: float = Field(default=0.1, gt=0)
    """Strength of the pull towards the reference."""
    kl_raise_factor: float = Field(default=2.0, gt=1)
    """Where a monitor asks to raise the KL coefficient, `beta` is multiplied by this, once a checkpoint."""
    kl_raise_limit: float = Field(default=8.0, ge=1)
    """It is raised to at most so many times the `beta` that the run began with."""
    num_train_epochs: int = Field(default=1, ge=1)
    """Passes over the preferences."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after so many steps, whatever the epochs say."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Preferences a step."""
    measure_steps: int = Field(default=8, ge=1)
    """Sample and measure the policy, and let the monitors look, after every so many steps."""
    soft_labels: bool = True
    """Use the aggregation's probability as label; otherwise each preference counts as certain."""
    max_completion_length: int = Field(default=64, ge=1)
    """Tokens of a sampled completion when the policy is measured."""


class OnlineDpoSettings(TrainerSettings):
    """Online DPO: each round samples the policy, lets a reward order the samples, and takes DPO steps on the pairs."""

    beta: float = Field(default=0.1, gt=0)
    """Strength of the pull towards the reference."""
    kl_raise_factor: float = Field(default=2.0, gt=1)
    """Where a monitor asks to raise the KL coefficient, `beta` is multiplied by this, once a checkpoint."""
    kl_raise_limit: float = Field(default=8.0, ge=1)
    """It is raised to at most so many times the `beta` that the run began with."""
    rounds: int = Field(default=6, ge=1)
    """How many rounds of sampling and steps, unless a monitor stops the run."""
    num_generations: int = Field(default=2, ge=2)
    """Completions a prompt and round; the best and the worst make a pair."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Pairs a step."""
    epochs_per_round: int = Field(default=1, ge=1)
    """Passes over a round's pairs."""
    max_completion_length: int = Field(default=48, ge=1)
    """Tokens of a sampled completion."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature."""
    aggregation: str = "uwo"
    """How the ensemble's members become the reward that orders the samples."""
    is_guarded: bool = True
    """Whether monitors may stop the run. Off only to show what happens without them."""
