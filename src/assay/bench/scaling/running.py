"""Running: the plan of the scaling benchmark, and its jobs, each in processes of its own, one after the other."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from assay.alignment.distributed import Mode
from assay.bench.processes import run_script
from assay.bench.scaling.job import Job, Told
from assay.records.errors import ConfigError, explain

ONE_PART = 1 << 20
"""Tokens of a part that no step reaches."""


class ScalingPlan(NamedTuple):
    """What to measure, one thing varied at a time: pairs a step, prompt lengths, completions a prompt, processes."""

    model: str = "default"
    pairs: tuple[int, ...] = (1, 2, 4, 8, 16)
    prompt_words: tuple[int, ...] = (16, 112, 304)
    completions: tuple[int, ...] = (2, 4, 8, 16)
    shared: tuple[tuple[Mode, int], ...] = (("ddp", 2), ("fsdp2", 2))
    answer_words: int = 64
    steps: int = 3
    threads: int = 1
    seed: int = 0
    is_whole: bool = True
    """Whether to run the largest step in one part as well."""

    @property
    def middle_words(self) -> int:
        """The prompt length at which everything else is varied."""
        return self.prompt_words[len(self.prompt_words) // 2]


class Measured(NamedTuple):
    """One job: what was varied, the job, what each of its processes told, and the machine's load before it began."""

    varied: str
    job: Job
    told: tuple[Told, ...]
    load: float


def quick(plan: ScalingPlan) -> ScalingPlan:
    """The plan at sizes that only show that everything works."""
    return plan._replace(
        pairs=(1, 2),
        prompt_words=(16,),
        completions=(2,),
        shared=(("ddp", 2),),
        answer_words=8,
        steps=2,
        is_whole=False,
    )


def jobs_of(plan: ScalingPlan) -> list[tuple[str, Job]]:
    """Every job with the name of what it varies; the same job may stand under several names."""
    base = Job(
        model=plan.model,
        prompt_words=plan.middle_words,
        answer_words=plan.answer_words,
        steps=plan.steps,
        threads=plan.threads,
        seed=plan.seed,
    )
    largest, few = base.model_copy(update={"pairs": max(plan.pairs)}), base.model_copy(update={"pairs": 2})
    jobs = [("pairs a step", base.model_copy(update={"pairs": pairs})) for pairs in plan.pairs]
    if plan.is_whole:
        jobs.append(("one part", largest.model_copy(update={"part_tokens": ONE_PART})))
    jobs += [("prompt", few.model_copy(update={"prompt_words": words})) for words in plan.prompt_words]
    for count in plan.completions:
        jobs.append(("completions", base.model_copy(update={"kind": "group", "pairs": 2, "completions": count})))
    for mode, count in plan.shared:
        jobs.append(("processes", largest.model_copy(update={"mode": mode, "processes": count})))
    return jobs


def bench_scaling(
    plan: ScalingPlan, *, scratch: Path, said: Callable[[str], object] = lambda _: None
) -> list[Measured]:
    """Run every job once; `said` hears which. Raises ConfigError when one fails."""
    found: dict[Job, Measured] = {}
    rows = []
    for varied, job in jobs_of(plan):
        if job not in found:
            said(describe(job))
            place = scratch / str(len(found))
            place.mkdir(parents=True)
            load = os.getloadavg()[0]
            found[job] = Measured(varied, job, run_job(job.model_copy(update={"scratch": str(place)})), load)
        rows.append(found[job]._replace(varied=varied))
    return rows


def describe(job: Job) -> str:
    """A job in a few words."""
    if job.kind == "group":
        return f"{job.pairs} prompts, {job.completions} completions each"
    parts = "" if job.part_tokens is None else ", in one part"
    shared = "" if job.processes == 1 else f", {job.processes} processes, {job.mode}"
    return f"{job.pairs} pairs, prompts of {job.prompt_words} words{parts}{shared}"


def run_job(job: Job) -> tuple[Told, ...]:
    """What each process of a job told, by rank."""
    place = Path(job.scratch)
    asked = place / "job.json"
    asked.write_text(job.model_dump_json(), encoding="utf-8")
    threads = {name: str(job.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}

    def run(rank: int) -> Told:
        told = place / f"told-{rank}.json"
        command = [sys.executable, "-m", "assay.bench.scaling.ours", str(asked), str(told), str(rank)]
        run_script(command, what="our own trainer", do="report this", environment=threads)
        return read_told(told, steps=job.steps)

    with ThreadPoolExecutor(job.processes) as pool:
        return tuple(pool.map(run, range(job.processes)))


def read_told(path: Path, *, steps: int) -> Told:
    """What a process wrote. Raises ConfigError when it is not there, not whole, or not about so many steps."""
    expected, do = f"{steps} timed steps", "run it again, and report what it said if it stays so"
    try:
        told = Told.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(explain(expected=expected, got=str(error), do=do)) from error
    if {len(told.step_s), len(told.step_cpu_s), len(told.losses)} != {steps}:
        raise ConfigError(explain(expected=expected, got=f"{len(told.step_s)}", do=do))
    return told
