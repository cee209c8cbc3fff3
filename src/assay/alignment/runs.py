"""Runs: from records to a policy version with its trail of checkpoints and alarms. SFT and DPO, and what all share.

Takes a language model with no adapter yet; adds the policy's (fresh, or continuing the reference's), trains it under
the observer's eyes, and keeps the checkpoint that the monitors allow.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from assay.alignment.acting import ActingObserver
from assay.alignment.auditing import Audit, Auditor
from assay.alignment.distributed import ALONE, Group
from assay.alignment.dpo import DpoTask, Kept
from assay.alignment.measuring import MeasuringObserver
from assay.alignment.rollouts import CompletionSource
from assay.alignment.sampling import PolicySampler
from assay.alignment.scoring import StepScorer, TrainingRewards
from assay.alignment.settings import DpoSettings, SftSettings, TrainerSettings
from assay.alignment.sft import SftTask
from assay.alignment.trackers import Tracked
from assay.alignment.tracking import tracking
from assay.alignment.trainer import Shareable, Task, train
from assay.lm import LanguageModel, Sampling, add_lora, generate, load_adapter, save_adapter
from assay.lm.adapters import POLICY
from assay.monitors import MonitorBank
from assay.monitors.run_log import RUN_LOG, Begun, RunLog
from assay.records.conversation import Prompt
from assay.records.errors import ConfigError, TrainingError, explain
from assay.records.identity import ScorerIdentity
from assay.records.judgement import Demonstration
from assay.records.observation import Observation
from assay.records.policy import Method, PolicyVersion
from assay.records.preference import Preference
from assay.records.provenance import Provenance, code_version
from assay.records.record import digest
from assay.rewards.protocol import Score
from assay.storage import ArtifactStore

REFERENCE = "ref"
"""Peft's name for the frozen copy of the policy that a run starts from."""


ALL_STEPS = "all steps taken"


@dataclass(frozen=True)
class RunContext:
    """What every run is handed: where things go, the seed, the clock, whether to resume, and who listens."""

    name: str
    artifacts: ArtifactStore
    directory: Path
    seed: int
    now: Callable[[], datetime]
    resume: bool = False
    on_step: Callable[[int, int, dict[str, float]], object] | None = None
    """Called with steps done, steps in all, and the step's numbers."""
    on_checkpoint: Callable[[Observation], object] | None = None
    group: Group = ALONE
    """The processes that share the run; each has a `directory` of its own, and process 0's is the one that counts."""
    completions: CompletionSource = generate
    """What draws the completions of the online methods."""


@dataclass(frozen=True)
class Watched:
    """How a run is watched: prompts to sample on, the rewards, the identities behind them, the monitors.

    `audit` has a panel look at each checkpoint too; its identity counts among the training signals. `costs` are what
    constraints may name beside words, KL and reward; their identities belong into `signals`.
    """

    prompts: Sequence[Prompt]
    rewards: TrainingRewards
    signals: tuple[ScorerIdentity, ...]
    bank: MonitorBank | None
    audit: Audit | None = None
    costs: Mapping[str, Score] = field(default_factory=dict)

    @property
    def training_signals(self) -> tuple[ScorerIdentity, ...]:
        """Everything that can move the run or end it."""
        return self.signals if self.audit is None else (*self.signals, self.audit.identity)


def run_sft(
    lm: LanguageModel, demonstrations: Sequence[Demonstration], settings: SftSettings, context: RunContext
) -> PolicyVersion:
    """Fine-tune on demonstrations. Raises TrainingError without any."""
    prepare_policy(lm, None, settings, seed=context.seed)
    context.group.shard(lm)
    task = SftTask(lm, demonstrations, settings, seed=context.seed, group=context.group)
    data_hash = digest(sorted(d.id for d in demonstrations))
    steps = take_steps(lm, task, settings, context, data_hash, None)
    adapter = context.artifacts.add(lambda directory: save_adapter(lm, directory))
    outcome = {"base_model": lm.source, "adapter": adapter, "ref_policy": None, "step": steps, "steps_run": steps}
    return version_of("sft", settings, context, {**outcome, "stop_reason": ALL_STEPS, "data_hash": data_hash})


def run_dpo(
    lm: LanguageModel,
    preferences: Sequence[Preference],
    settings: DpoSettings,
    context: RunContext,
    watched: Watched,
    *,
    start: PolicyVersion | None,
    demonstrations: Sequence[Demonstration] = (),
) -> PolicyVersion:
    """DPO on people's preferences from `start` (the reference; None is the base model).

    `demonstrations` are mixed in where the settings declare a share of them, and not looked at otherwise.
    """
    demonstrations = demonstrations if settings.demonstrations_share else ()
    ref = prepare_policy(lm, adapter_path(context, start), settings, seed=context.seed)
    context.group.shard(lm)
    lower = context.directory / "lower"
    task = DpoTask(
        lm,
        preferences,
        settings,
        seed=context.seed,
        ref_adapter=ref,
        demonstrations=demonstrations,
        kept=Kept(context.directory.parent / ".reference", None if context.group.mode == "fsdp2" else lower),
        group=context.group,
    )
    sampling = Sampling(max_tokens=settings.max_completion_length, seed=context.seed)
    sampler = PolicySampler(lm, watched.prompts, sampling, n=1, ref_adapter=ref)
    scorer = StepScorer(lm, sampler, watched.rewards)
    measuring = measuring_with(lm, sampler, scorer, watched, context, every=settings.measure_steps)
    keeps_best = keeps_best_of(settings.load_best_model_at_end, watched)
    observer = observing(measuring, task, sampler, context, begun("dpo", task, context, watched), keeps_best=keeps_best)
    data_hash = digest(sorted(row.id for row in (*preferences, *demonstrations)))
    steps = take_steps(lm, task, settings, context, data_hash, observer, *begins_with(start, watched))
    shutil.rmtree(lower, ignore_errors=True)  # it holds the texts' states, and a run that has ended reads no more
    return version_of("dpo", settings, context, watched_outcome(lm, observer, watched, start, steps, data_hash))


def prepare_policy(lm: LanguageModel, start: Path | None, settings: TrainerSettings, *, seed: int) -> str | None:
    """Give the model a policy adapter; returns the name of the reference's adapter, None for the base itself."""
    if start is None:
        add_lora(lm, settings.lora, seed=seed)
        return None
    load_adapter(lm, start, is_trainable=True)
    load_adapter(lm, start, name=REFERENCE)
    lm.model.set_adapter(POLICY)
    return REFERENCE


def take_steps(
    lm: LanguageModel,
    task: Task,
    settings: TrainerSettings,
    context: RunContext,
    data_hash: str,
    observer: ActingObserver | None,
    *begins_with: str,
) -> int:
    """Train and return the steps taken. `begins_with` names what else a resumed run must share: start and rewards."""
    plain = settings.model_dump(mode="json")
    named = {"data": data_hash, "model": lm.id, "seed": context.seed, "from": list(begins_with)}
    fingerprint = digest({"settings": {**plain, "report_to": None}, **named})
    _require_shared(task, context.group)
    told = settings.report_to if context.group.is_leader else ()
    with (
        nullcontext() if observer is None else observer.noting_a_break(),
        tracking(told, Tracked(context.name, context.directory, _flat(plain), context.now)) as tracked,
    ):

        def on_step(step: int, entry: dict[str, float]) -> None:
            tracked.on_step(step, entry, () if observer is None else observer.checkpoints)
            if context.on_step is not None:
                context.on_step(step, task.steps, entry)

        result = train(
            lm,
            task,
            settings,
            directory=context.directory,
            fingerprint=fingerprint,
            observer=observer,
            resume=context.resume,
            progress=on_step,
        )
        tracked.on_checkpoints(() if observer is None else observer.checkpoints)
    return result.steps


def _require_shared(task: Task, group: Group) -> None:
    if group.size > 1 and not isinstance(task, Shareable):
        got = f"{type(task).__name__} in {group.size} processes"
        do = "run this method in one process; sft and dpo can have more"
        raise TrainingError(explain(expected="a method whose steps can be shared out", got=got, do=do))


def begins_with(start: PolicyVersion | None, watched: Watched) -> list[str]:
    """What a resumed run must share beside settings and data: the start and the signals."""
    return ["base" if start is None else start.id, *(signal.content_hash for signal in watched.training_signals)]


def begun(method: Method, task: Task, context: RunContext, watched: Watched) -> Begun:
    """The first line of a run's log."""
    monitors = () if watched.bank is None else watched.bank.names
    return Begun(at=context.now(), name=context.name, method=method, steps=task.steps, monitors=monitors)


def observing(
    measuring: MeasuringObserver,
    task: Task,
    sampler: PolicySampler,
    context: RunContext,
    begun: Begun,
    *,
    keeps_best: bool,
) -> ActingObserver:
    """The observer that measures, acts on the task and writes the run's log."""
    log = RunLog(context.directory / RUN_LOG, begun)
    return ActingObserver(measuring, task, sampler, log, now=context.now, keeps_best=keeps_best)


def keeps_best_of(is_asked: bool, watched: Watched) -> bool:
    """Whether the watch panel's best checkpoint is kept. Raises ConfigError where there is no such panel."""
    if is_asked and watched.rewards.watch is None:
        do = "have more people judge, or leave load_best_model_at_end out"
        raise ConfigError(explain(expected="a watch panel, whose best checkpoint is to be kept", got="none", do=do))
    return is_asked


def measuring_with(
    lm: LanguageModel,
    sampler: PolicySampler,
    scorer: StepScorer,
    watched: Watched,
    context: RunContext,
    *,
    every: int,
) -> MeasuringObserver:
    """The observer's eyes: measures every `every` steps, under the run's monitors and its audit."""
    measuring = MeasuringObserver(
        lm,
        sampler,
        scorer,
        every=every,
        bank=watched.bank,
        artifacts=context.artifacts,
        now=context.now,
        on_checkpoint=context.on_checkpoint,
    )
    measuring.auditor = None if watched.audit is None else Auditor(sampler, watched.audit, seed=context.seed)
    return measuring


def adapter_path(context: RunContext, start: PolicyVersion | None) -> Path | None:
    """Where a policy's adapter lies; None for the base model."""
    return None if start is None or start.adapter is None else context.artifacts.path(start.adapter)


def watched_outcome(
    lm: LanguageModel,
    observer: ActingObserver,
    watched: Watched,
    start: PolicyVersion | None,
    steps: int,
    data_hash: str,
) -> dict[str, Any]:
    """The fields of a policy version that the run itself decides; the run's log ends here."""
    kept, ended_by = observer.kept(), observer.ended_by
    stop_reason = ALL_STEPS if ended_by is None else f"{ended_by.monitor}: {ended_by.message}"
    observer.end(stop_reason)
    return {
        "base_model": lm.source,
        "adapter": kept.adapter,
        "ref_policy": None if start is None else start.id,
        "step": kept.step,
        "steps_run": steps,
        "checkpoints": tuple(observer.checkpoints),
        "alarms": tuple(observer.alarms),
        "monitors": () if watched.bank is None else watched.bank.names,
        "stop_reason": stop_reason,
        "training_signals": watched.training_signals,
        "data_hash": data_hash,
    }


def version_of(
    method: Method, settings: TrainerSettings, context: RunContext, outcome: dict[str, Any]
) -> PolicyVersion:
    """The policy version of a run's outcome, with its provenance."""
    plain = settings.model_dump(mode="json")
    provenance = Provenance(
        seed=context.seed,
        data_hash=outcome.pop("data_hash"),
        code_version=code_version(),
        config_hash=digest(plain),
    )
    return PolicyVersion(
        created_at=context.now(),
        name=context.name,
        method=method,
        settings=_flat(plain),
        provenance=provenance,
        **outcome,
    )


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, float | int | str | bool]:
    flat: dict[str, float | int | str | bool] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat[prefix + key] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat
