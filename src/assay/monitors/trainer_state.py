"""Trainer state: what a transformers or TRL trainer logged, as observations under Assay's names.

Takes the entries of `log_history` one at a time; yields an observation for each, or one for several where one entry
rests on few completions. Every number keeps its own name besides, so that a reward function of TRL can hand on what no
trainer measures: `log_metric("watch/panel_reward", x)` reaches the monitors as it is.

    alignment/kl                kl * completions/mean_length (GRPO and RLOO log the mean a token), or objective/kl
    alignment/proxy_reward      (reward - first reward) / first reward_std
    alignment/entropy           entropy, of trainers that sample; DPO's is taken on answers of the data
    alignment/loss              loss
    components/NAME, NAME_sd    weight * rewards/NAME/mean and /std, one for each reward function
    completions/length_sd       its largest possible value, sqrt((max - mean) (mean - min)) of completions/*_length
    completions/finished_rate   1 - completions/clipped_ratio
    completions/count           completions behind the observation, where the caller knows how many one entry has
    completions/mean_length     as logged: in tokens, not in words

The bound on the spread (Bhatia and Davis, "A better bound on the variance", 2000) lets `length_drift` ring later than
the true spread would, never sooner.

Does not catch: what was not logged. DPO and KTO sample nothing while they train, so most monitors are silent there;
KTO's `kl` is taken on answers of the data and is no KL of the policy's own, so it is not read as one.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay.monitors.trail import RunTrail
from assay.records.errors import ConfigError, InputError, explain
from assay.records.observation import Observation

TRAINER_STATE = "trainer_state.json"
ENOUGH_COMPLETIONS = 64
"""Completions that an observation should rest on, for the monitors' stated false-alarm rates to hold."""


@dataclass
class TrainerLog:
    """Reads the entries of one run in their order. `completions` is how many one entry averages over, where known.

    `weights` are those of the reward functions by name, where they are not 1.
    Entries are averaged until they rest on 64 completions together; a rest at the end that does not is left out.
    Raises ConfigError for fewer than one completion.
    """

    completions: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    _held: list[Mapping[str, float]] = field(default_factory=list, init=False, repr=False)
    _reference: tuple[float, float] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a count that cannot be."""
        if self.completions is not None and self.completions < 1:
            do = "leave it out where it is unknown"
            raise ConfigError(explain(expected="at least one completion", got=str(self.completions), do=do))

    @property
    def entries_needed(self) -> int:
        """How many entries make an observation."""
        return 1 if self.completions is None else math.ceil(ENOUGH_COMPLETIONS / self.completions)

    def read(self, entry: Mapping[str, object], step: int) -> Observation | None:
        """The observation that this entry completes; None for one of evaluation, a summary, or one that is held."""
        if "train_runtime" in entry or any(name.startswith("eval_") for name in entry):
            return None
        self._held.append(_numbers(entry))
        if len(self._held) < self.entries_needed:
            return None
        logged, self._held = _pooled(self._held), []
        if self._reference is None and logged.get("reward_std", 0.0) > 0:
            self._reference = (logged.get("reward", 0.0), logged["reward_std"])
        count = {} if self.completions is None else {"completions/count": float(self.completions * self.entries_needed)}
        derived = _derived(logged, self._reference) | _components(logged, self.weights)
        return Observation(step=step, values=derived | count | logged)


def read_log_history(history: Iterable[Mapping[str, object]], *, completions: int | None = None) -> list[Observation]:
    """The observations of a whole log; entries without a step are left out."""
    log = TrainerLog(completions)
    read = [log.read(entry, step) for entry in history if isinstance(step := entry.get("step"), int)]
    return [observation for observation in read if observation is not None]


def trail_of_trainer_state(path: Path, *, completions: int | None = None) -> RunTrail:
    """The trail in a `trainer_state.json`: nobody watched it, and the last checkpoint is the one that is kept.

    Raises InputError for a file that is no such state, or that logged nothing.
    """
    do = f"name a {TRAINER_STATE} that a transformers or TRL trainer saved"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(explain(expected=f"a trainer's state in {path}", got=str(error), do=do)) from error
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise InputError(explain(expected=f"a log_history in {path}", got="none", do=do))
    observations = read_log_history(history, completions=completions)
    if not observations:
        got = f"{len(history)} entries, too few for an observation"
        do = "let the trainer log more often (logging_steps), or train longer"
        raise InputError(explain(expected=f"training logs in {path}", got=got, do=do))
    steps, taken = state.get("max_steps", 0), state.get("global_step", observations[-1].step)
    ended = "all steps taken" if steps and taken >= steps else None
    return RunTrail(
        name=path.parent.name, method="trainer", observations=tuple(observations), ended=ended, steps=steps or 0
    )


def _numbers(entry: Mapping[str, object]) -> dict[str, float]:
    """The finite numbers of an entry, without its place in the run."""
    return {
        name: float(value)
        for name, value in entry.items()
        if name not in ("step", "epoch")
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    }


def _pooled(entries: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Several entries as one: means over those that have a number, the least of minima, the largest of maxima."""
    pooled = {}
    for name in sorted(set().union(*entries)):
        values = [entry[name] for entry in entries if name in entry]
        last = name.rpartition("/")[2]
        if last.startswith(("min", "max")):
            pooled[name] = min(values) if last.startswith("min") else max(values)
        else:
            pooled[name] = math.fsum(values) / len(values)
    return pooled


def _derived(logged: Mapping[str, float], reference: tuple[float, float] | None) -> dict[str, float]:
    """What a trainer's numbers say under Assay's names."""
    found: dict[str, float] = {}
    length = logged.get("completions/mean_length")
    if "kl" in logged and length is not None:
        found["alignment/kl"] = logged["kl"] * length
    elif "objective/kl" in logged:
        found["alignment/kl"] = logged["objective/kl"]
    if "alignment/kl" in found:
        found["alignment/sqrt_kl"] = math.sqrt(max(0.0, found["alignment/kl"]))
    if reference is not None and "reward" in logged:
        found["alignment/proxy_reward"] = (logged["reward"] - reference[0]) / reference[1]
    if "entropy" in logged and length is not None:
        found["alignment/entropy"] = logged["entropy"]
    if "loss" in logged:
        found["alignment/loss"] = logged["loss"]
    if "completions/clipped_ratio" in logged:
        found["completions/finished_rate"] = 1 - logged["completions/clipped_ratio"]
    least, largest = logged.get("completions/min_length"), logged.get("completions/max_length")
    if length is not None and least is not None and largest is not None:
        found["completions/length_sd"] = math.sqrt(max(0.0, (largest - length) * (length - least)))
    return found


def _components(logged: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """Each reward function's mean contribution to the reward, and its spread."""
    found: dict[str, float] = {}
    for logged_name, value in logged.items():
        part = re.fullmatch(r"rewards/(.+)/(mean|std)", logged_name)
        if part is not None:
            weight = weights.get(part[1], 1.0)
            is_mean = part[2] == "mean"
            found[f"components/{part[1]}{'' if is_mean else '_sd'}"] = (weight if is_mean else abs(weight)) * value
    return found
