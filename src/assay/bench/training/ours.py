"""Ours: Assay's own trainers on a job, in a process of their own, with the settings that a run of the product has.

python -m assay.bench.training.ours JOB.json OUT.json
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
import transformers

from assay.alignment.dpo import DpoTask, Kept
from assay.alignment.grpo import GrpoTask
from assay.alignment.sampling import PolicySampler
from assay.alignment.settings import DpoSettings, GrpoSettings, TrainerSettings
from assay.alignment.trainer import Task, train
from assay.bench.training.clock import StepClock, peak_mib
from assay.bench.training.job import Job, Told
from assay.lm import LanguageModel, Sampling, load, load_adapter
from assay.rewards.tuning.finetune import FinetuneSettings, finetune


def main(job_file: str, out_file: str) -> None:
    """Train, write."""
    job = Job.model_validate_json(Path(job_file).read_bytes())
    torch.set_num_threads(job.threads)
    lm = load(job.model, dtype=torch.float32)
    started = time.process_time()
    losses: list[float] = []
    clock = TRAINERS[job.kind](lm, job, losses)
    told = Told(
        step_s=tuple(clock.step_s),
        step_cpu_s=tuple(clock.step_cpu_s),
        losses=tuple(losses),
        before_cpu_s=time.process_time() - started - sum(clock.step_cpu_s),
        peak_mib=peak_mib(),
        versions={module.__name__: module.__version__ for module in (torch, transformers)},
    )
    Path(out_file).write_text(told.model_dump_json(), encoding="utf-8")


def train_dpo(lm: LanguageModel, job: Job, losses: list[float]) -> StepClock:
    """DPO by the one trainer; the reference is the base."""
    load_adapter(lm, Path(job.adapter), is_trainable=True)
    settings = DpoSettings(
        learning_rate=job.learning_rate,
        warmup_ratio=0.0,
        lr_scheduler_type="constant",
        beta=job.beta,
        num_train_epochs=job.epochs,
        per_device_train_batch_size=job.pairs_a_step,
        soft_labels=False,
        save_steps=1_000_000,
        lora=job.lora,
    )
    task = DpoTask(
        lm, job.preferences, settings, seed=job.seed, ref_adapter=None, kept=Kept(lower=Path(job.scratch) / "lower")
    )
    return _timed(lm, task, settings, job, losses)


def train_grpo(lm: LanguageModel, job: Job, losses: list[float]) -> StepClock:
    """GRPO by the one trainer: every step draws, scores and learns; the reference is the base."""
    lm = Endless(**vars(lm))
    load_adapter(lm, Path(job.adapter), is_trainable=True)
    settings = GrpoSettings(
        learning_rate=job.learning_rate,
        warmup_ratio=0.0,
        lr_scheduler_type="constant",
        kl_coef=job.beta,
        rounds=job.epochs,
        num_generations=job.completions,
        per_device_train_batch_size=job.pairs_a_step * job.completions,
        max_completion_length=job.new_tokens,
        save_steps=1_000_000,
        lora=job.lora,
    )
    prompts = [preference.prompt for preference in job.preferences]
    sampling = Sampling(max_tokens=job.new_tokens, seed=job.seed)
    sampler = PolicySampler(lm, prompts, sampling, n=job.completions, ref_adapter=None)

    def rewards_at(step: int) -> np.ndarray:
        return np.array([np.mean([token % 2 == 0 for token in ids]) for ids in sampler.at(step).token_ids])

    return _timed(lm, GrpoTask(lm, sampler, rewards_at, settings, seed=job.seed), settings, job, losses)


class Endless(LanguageModel):
    """A model whose completions end by their length alone, so that every step draws as many tokens."""

    @property
    def eos_ids(self) -> frozenset[int]:
        """None."""
        return frozenset()


def _timed(lm: LanguageModel, task: Task, settings: TrainerSettings, job: Job, losses: list[float]) -> StepClock:
    clock = StepClock()

    def on_step(_: int, entry: dict[str, float]) -> None:
        clock.mark()
        losses.append(entry["loss"])

    train(lm, task, settings, directory=Path(job.scratch), fingerprint="bench", progress=on_step)
    return clock


def train_reward(lm: LanguageModel, job: Job, losses: list[float]) -> StepClock:
    """A reward by fine-tuning; its adapter is a fresh one, its head starts at zero."""
    settings = FinetuneSettings(
        lora=job.lora,
        learning_rate=job.learning_rate,
        head_learning_rate=job.learning_rate,
        warmup_ratio=0.0,
        lr_scheduler_type="constant",
        num_train_epochs=job.epochs,
        per_device_train_batch_size=job.pairs_a_step,
        soft_labels=False,
        sum_to_zero=0.0,
    )
    clock = StepClock()

    def on_step(_: int, entry: dict[str, float]) -> None:
        clock.mark()
        losses.append(entry["loss"])

    finetune(lm, job.preferences, settings, seed=job.seed, progress=on_step)
    return clock


TRAINERS = {"dpo": train_dpo, "reward": train_reward, "grpo": train_grpo}


if __name__ == "__main__":
    main(*sys.argv[1:])
