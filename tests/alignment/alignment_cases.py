"""What the alignment tests share: preferences, a task that samples from the tiny model, and a kill that it survives."""

from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from assay.alignment.sampling import PolicySampler
from assay.alignment.trainer import train
from assay.lm import LoraSettings, Sampling, add_lora, load
from assay.lm.adapters import policy_parameters
from assay.records.conversation import user_prompt
from assay.records.preference import Preference

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TWO_PROMPTS = [user_prompt(text) for text in ("Why is the sky blue?", "Capital of France?")]
TWO_ROUNDS = {
    "rounds": 2,
    "num_generations": 3,
    "per_device_train_batch_size": 4,
    "max_completion_length": 6,
    "learning_rate": 1e-2,
    "save_steps": 1,
    "lora": LoraSettings(r=4, top_layers=2, targets=("o_proj", "down_proj")),
}
"""Settings of a short run of any method that samples; four steps of a draw of six."""
GREEDY = {
    "rounds": 16,
    "num_generations": 16,
    "per_device_train_batch_size": 64,
    "max_completion_length": 3,
    "kl_coef": 0.0,
    "learning_rate": 1.5e-2,
    "warmup_ratio": 0.0,
    "lr_scheduler_type": "constant",
    "save_steps": 100,
    "lora": LoraSettings(r=8, alpha=16),
}
"""Settings of a run of GRPO that nothing holds back, so that it finds a hack within its rounds."""


class SampledTask:
    """A task of a method that samples, on the tiny model; the reward is the share of even token ids of a completion.

    A test's own subclass gives `self.task`.
    """

    def __init__(self, model_dir, chosen):
        self.lm, self.settings = load(str(model_dir), dtype=torch.float32), chosen
        add_lora(self.lm, chosen.lora, seed=0)
        sampling = Sampling(max_tokens=chosen.max_completion_length, temperature=1.0, seed=3)
        self.sampler = PolicySampler(self.lm, TWO_PROMPTS, sampling, n=chosen.num_generations, ref_adapter=None)

    def reward(self, step):
        return np.array([np.mean([i % 2 == 0 for i in ids]) for ids in self.sampler.at(step).token_ids])

    def train(self, directory, **kwargs):
        return train(self.lm, self.task, self.settings, directory=directory, fingerprint="f", **kwargs)


def assert_goes_on_after_a_kill(make, directory, *, killed_at, steps=4, by="loss"):
    """A run killed at a step and resumed has log and weights of one that was not; returns the log. `make` makes one."""
    whole = make()
    log = whole.train(directory / "whole").log
    cut = make()
    real = getattr(cut.task, by)

    def killed(step):
        if step == killed_at:
            raise KeyboardInterrupt
        return real(step)

    setattr(cut.task, by, killed)
    with pytest.raises(KeyboardInterrupt):
        cut.train(directory / "cut")
    resumed = make()
    assert resumed.train(directory / "cut", resume=True).log == log
    assert steps is None or len(log) == steps
    for one, two in zip(policy_parameters(whole.lm).values(), policy_parameters(resumed.lm).values(), strict=True):
        assert torch.equal(one, two)
    return log


def preference(i):
    """Preference number i; prompts come round every eight."""
    return Preference(
        created_at=NOW,
        prompt=user_prompt(f"Question {i % 8}?"),
        chosen=f"A long and careful answer about thing {i}, with some detail.",
        rejected=f"No {i}.",
        margin=1.0,
        standard_error=0.3,
        probability=0.8,
        judgements=(str(i),),
        annotators=("a",),
        aggregation="x",
    )
