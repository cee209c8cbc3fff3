"""Running: makes the jobs of a plan, on the same pairs in the same order, and runs each as a process of its own."""

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from pydantic import ValidationError

from assay.alignment.sft import epoch_batches
from assay.bench.processes import run_script
from assay.bench.reward.data import Sizes, read_pair_set
from assay.bench.reward.peer import DO
from assay.bench.training.job import Ids, Job, Kind, Told
from assay.lm import LanguageModel, LoraSettings, add_lora, encode_pair, load, save_adapter
from assay.lm.bundled import bundled_directory
from assay.records.errors import ConfigError, InputError, explain
from assay.records.preference import Preference

OURS = "ours"
DEFAULTS, TUNED, MICRO = "TRL defaults", "TRL tuned", "TRL tuned, micro-batch 1"
NO_KL = "TRL tuned, without KL"
GRPO_KL = 0.04
"""Strength of the KL in GRPO, ours and that of TRL tuned; TRL's default is none."""
SETTINGS: Mapping[Kind, Mapping[str, dict[str, bool | float]]] = MappingProxyType(
    {
        "dpo": {
            DEFAULTS: {},
            TUNED: {"gradient_checkpointing": False, "precompute_ref_log_probs": True},
            MICRO: {"gradient_checkpointing": False, "precompute_ref_log_probs": True},
        },
        "reward": {DEFAULTS: {}, TUNED: {"gradient_checkpointing": False}},
        "grpo": {
            DEFAULTS: {},
            TUNED: {"gradient_checkpointing": False, "beta": GRPO_KL},
            NO_KL: {"gradient_checkpointing": False},
        },
    }
)
"""TRL's settings by row where they are not its defaults: tuned, nothing is computed twice, the reference once ahead."""
PEER = Path(__file__).with_name("peer_trl.py")


class Steps(NamedTuple):
    """Pairs a step, and how many steps."""

    pairs: int
    steps: int


class TrainingPlan(NamedTuple):
    """What to measure: data, model, TRL's Python (None leaves TRL out), sizes, pairs' longest tokens, threads, seed."""

    data: Path
    model: str = "default"
    peer_python: Path | None = None
    dpo: tuple[Steps, ...] = (Steps(2, 20), Steps(8, 6))
    reward: Steps = Steps(8, 6)
    cached: Steps = Steps(4, 6)
    grpo: Steps = Steps(2, 6)
    """Prompts a step, each with `completions` of `new_tokens`."""
    completions: int = 8
    new_tokens: int = 64
    top_layers: int = 10
    max_length: int = 512
    threads: int = 1
    seed: int = 0


def quick(plan: TrainingPlan) -> TrainingPlan:
    """The plan at sizes that only show that everything works."""
    few = Steps(2, 3)
    return plan._replace(dpo=(few,), reward=few, cached=few, grpo=few, completions=2, new_tokens=8, max_length=96)


class Bench:
    """Runs trainers on the plan's pairs. `said` hears what is being run."""

    def __init__(
        self, plan: TrainingPlan, *, scratch: Path, now: datetime, said: Callable[[str], object] = lambda _: None
    ) -> None:
        self._plan, self._scratch, self._said = plan, scratch, said
        self._lm = load(plan.model)
        self._model = str(bundled_directory()) if plan.model == "default" else plan.model
        self._pairs = _read(plan, self._lm, now)

    def side_by_side(self, kind: Kind, size: Steps) -> dict[str, Told]:
        """Ours and, where there is a Python with TRL, every row of TRL's that finishes, on the same steps."""
        return self._rows(kind, lambda settings: self._job(kind, size, settings=settings))

    def sampled(self, size: Steps) -> dict[str, Told]:
        """GRPO, every step on the same prompts, by ours and by every row of TRL's."""
        plan = self._plan
        more = {"beta": GRPO_KL, "completions": plan.completions, "new_tokens": plan.new_tokens}

        def job(settings: Mapping[str, bool | float]) -> Job:
            once = self._job("grpo", Steps(size.pairs, 1), settings=settings, epochs=size.steps)
            return once.model_copy(update=more)

        return self._rows("grpo", job)

    def two_epochs(self, size: Steps) -> Told:
        """Ours with adapters in the top layers only, over the same pairs twice."""
        return self._run(OURS, self._job("dpo", size, lora=LoraSettings(top_layers=self._plan.top_layers), epochs=2))

    def _rows(self, kind: Kind, job: Callable[[Mapping[str, bool | float]], Job]) -> dict[str, Told]:
        rows: dict[str, dict[str, bool | float]] = {OURS: {}}
        if self._plan.peer_python is not None:
            rows |= SETTINGS[kind]
        return {name: told for name, settings in rows.items() if (told := self._finished(name, job(settings)))}

    def _finished(self, name: str, job: Job) -> Told | None:
        """What a run told; None, and said aloud, where it is a peer's and did not finish: the others still count."""
        try:
            return self._run(name, job)
        except ConfigError as error:
            if name == OURS:
                raise
            self._said(f"{name} did not finish: {error}")
            return None

    def _job(
        self,
        kind: Kind,
        size: Steps,
        *,
        settings: Mapping[str, bool | float] = MappingProxyType({}),
        lora: LoraSettings = LoraSettings(),  # noqa: B008 (frozen)
        epochs: int = 1,
    ) -> Job:
        preferences = self._pairs[: size.pairs * size.steps]
        order = [
            i for batch in epoch_batches(len(preferences), size.pairs, epochs=1, seed=self._plan.seed) for i in batch
        ]
        return Job(
            kind=kind,
            model=self._model,
            adapter=str(self._adapter(lora)),
            lora=lora,
            preferences=preferences,
            rows=tuple(ids_of(self._lm, preferences[i]) for i in order),
            pairs_a_step=size.pairs,
            epochs=epochs,
            seed=self._plan.seed,
            threads=self._plan.threads,
            settings=dict(settings),
            scratch=str(self._scratch / "run"),
        )

    def _run(self, name: str, job: Job) -> Told:
        self._said(f"{job.kind}, {job.pairs_a_step} pairs a step, {len(job.rows) * job.epochs} pairs: {name}")
        if name == MICRO:
            micro = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": job.pairs_a_step}
            job = job.model_copy(update={"settings": {**job.settings, **micro}})
        asked, told = self._scratch / "job.json", self._scratch / "told.json"
        asked.write_text(job.model_dump_json(), encoding="utf-8")
        told.unlink(missing_ok=True)
        python = self._plan.peer_python
        if name == OURS or python is None:
            command, what, do = [sys.executable, "-m", "assay.bench.training.ours"], "our own trainer", "report this"
        else:
            command, what, do = [str(python), str(PEER)], "TRL", DO
        threads = {name: str(job.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        run_script([*command, str(asked), str(told)], what=what, do=do, environment=threads)
        return read_told(told, steps=len(job.rows) // job.pairs_a_step * job.epochs)

    def _adapter(self, lora: LoraSettings) -> Path:
        """The adapter that every run with these settings starts from."""
        directory = self._scratch / f"adapter-{lora.top_layers or 'all'}"
        if not directory.exists():
            lm = load(self._plan.model, dtype=torch.float32)
            add_lora(lm, lora, seed=self._plan.seed)
            save_adapter(lm, directory)
        return directory


def read_told(path: Path, *, steps: int) -> Told:
    """What a run wrote. Raises ConfigError when it is not there, not whole, or not about so many steps."""
    expected, do = f"{steps} timed steps", "run it again, and report what it said if it stays so"
    try:
        told = Told.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(explain(expected=expected, got=str(error), do=do)) from error
    counts = {len(told.step_s), len(told.step_cpu_s), len(told.losses)}
    if counts != {steps}:
        raise ConfigError(explain(expected=expected, got=f"{sorted(counts)} of seconds and losses", do=do))
    return told


def _read(plan: TrainingPlan, lm: LanguageModel, now: datetime) -> tuple[Preference, ...]:
    """Pairs for the largest of the plan's rows. Raises InputError when there are too few."""
    wanted = max(size.pairs * size.steps for size in (*plan.dpo, plan.reward, plan.cached, plan.grpo))
    sizes = Sizes(train=max(8, wanted), held_out=2, max_length=plan.max_length)
    found = read_pair_set("hh-harmless", plan.data, lm, sizes, seed=plan.seed, now=now)
    count = 0 if found is None else len(found.train)
    if found is None or count < wanted:
        do = "name the directory with hh-rlhf-harmless, or ask for fewer steps"
        got = f"{count} of at most {plan.max_length} tokens in {plan.data}"
        raise InputError(explain(expected=f"{wanted} pairs to train on", got=got, do=do))
    return found.train


def ids_of(lm: LanguageModel, preference: Preference) -> Ids:
    """The pair as ids, by the encoding that our own trainers use."""
    chosen = encode_pair(lm, preference.prompt, preference.chosen)
    rejected = encode_pair(lm, preference.prompt, preference.rejected)
    return Ids(prompt=tuple(chosen.prompt), chosen=tuple(chosen.completion), rejected=tuple(rejected.completion))
