"""Ours: one job of the scaling benchmark, in a process of its own or as one of several that share its steps.

python -m assay.bench.scaling.ours JOB.json OUT.json RANK
"""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from assay.alignment import dpo
from assay.alignment.distributed import Group, joined
from assay.alignment.dpo import DpoTask
from assay.alignment.grpo import GrpoTask
from assay.alignment.sampling import PolicySampler
from assay.alignment.settings import DpoSettings, GrpoSettings, TrainerSettings
from assay.alignment.trainer import Task, train
from assay.bench.scaling.job import Job, Told
from assay.bench.scaling.memory import forget_peak, held_mib, peak_mib
from assay.bench.scaling.texts import pairs_of, prompts_of
from assay.bench.training.clock import StepClock
from assay.lm import Completion, LanguageModel, LoraSettings, Sampling, add_lora, encode_pair, generate, load
from assay.lm.generation import total_tokens
from assay.records.conversation import Message

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When the made-up preferences were made; nothing depends on it."""


class _Run(NamedTuple):
    """A task ready to be trained, its settings, the packed tokens of a step, and what its draws took so far."""

    task: Task
    settings: TrainerSettings
    tokens: Callable[[], int]
    draws: list[float]


def main(job_file: str, out_file: str, rank: str) -> None:
    """Run the job as process RANK and tell what it took."""
    job = Job.model_validate_json(Path(job_file).read_bytes())
    torch.set_num_threads(job.threads)
    store = f"file://{job.scratch}/store"
    with joined(job.mode, init_method=store, rank=int(rank), size=job.processes) as group:
        Path(out_file).write_text(told_of(job, group).model_dump_json(), encoding="utf-8")


def told_of(job: Job, group: Group) -> Told:
    """What this process took for the job's steps."""
    lm = load(job.model, dtype=torch.float32)
    add_lora(lm, LoraSettings(), seed=job.seed)
    group.shard(lm)
    run = _pairs(lm, job, group) if job.kind == "pairs" else _group(lm, job)
    forget_peak()
    loaded, clock = held_mib(), StepClock()
    losses: list[float] = []

    def on_step(_: int, entry: dict[str, float]) -> None:
        clock.mark()
        losses.append(entry["loss"])

    train(lm, run.task, run.settings, directory=Path(job.scratch), fingerprint="bench", progress=on_step)
    return Told(
        tokens=run.tokens(),
        step_s=tuple(clock.step_s),
        step_cpu_s=tuple(np.subtract(clock.step_cpu_s, run.draws or 0.0).tolist()),
        draw_cpu_s=tuple(run.draws),
        losses=tuple(losses),
        loaded_mib=loaded,
        peak_mib=peak_mib(),
    )


def _pairs(lm: LanguageModel, job: Job, group: Group) -> _Run:
    rows = pairs_of(
        lm,
        job.pairs * job.steps,
        prompt_words=job.prompt_words,
        answer_words=job.answer_words,
        seed=job.seed,
        now=EPOCH,
    )
    settings = DpoSettings(per_device_train_batch_size=job.pairs, save_steps=job.steps + 1)
    if job.part_tokens is not None:
        vars(dpo)["PART_TOKENS"] = job.part_tokens
    task = DpoTask(lm, rows, settings, seed=job.seed, ref_adapter=None, group=group)
    chosen, rejected = (encode_pair(lm, rows[0].prompt, text) for text in (rows[0].chosen, rows[0].rejected))
    return _Run(task, settings, lambda: job.pairs * (chosen.length + len(rejected.completion)), [])


def _group(lm: LanguageModel, job: Job) -> _Run:
    draws: list[float] = []
    drawn: list[int] = []

    def timed(
        lm: LanguageModel, prompts: Sequence[Sequence[Message]], sampling: Sampling, *, n: int
    ) -> list[Completion]:
        before = time.process_time()
        completions = generate(lm, prompts, sampling, n=n)
        draws.append(time.process_time() - before)
        drawn.append(total_tokens(completions))
        return completions

    prompts = prompts_of(lm, job.pairs, words=job.prompt_words, seed=job.seed)
    sampling = Sampling(max_tokens=job.answer_words, seed=job.seed)
    sampler = PolicySampler(lm, prompts, sampling, n=job.completions, ref_adapter=None, source=timed)
    settings = GrpoSettings(
        rounds=job.steps,
        num_generations=job.completions,
        per_device_train_batch_size=job.pairs * job.completions,
        max_completion_length=job.answer_words,
        save_steps=job.steps + 1,
    )

    def rewards_at(step: int) -> np.ndarray:
        return np.random.default_rng([job.seed, step]).normal(size=job.pairs * job.completions)

    task = GrpoTask(lm, sampler, rewards_at, settings, seed=job.seed)
    return _Run(task, settings, lambda: round(sum(drawn) / len(drawn)), draws)


if __name__ == "__main__":
    main(*sys.argv[1:])
