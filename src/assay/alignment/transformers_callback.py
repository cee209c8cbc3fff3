"""Transformers callback: Assay's monitors inside a transformers or TRL trainer, without leaving it.

    callback = MonitorCallback(now=lambda: datetime.now(UTC))
    trainer = GRPOTrainer(..., callbacks=[callback])
    callback.steer(trainer)  # lets it raise trainer.beta, and know the weights of the reward functions
    trainer.train()
    callback.keep            # None: take the model; otherwise the checkpoint to take in its place

What the trainer logs becomes observations (`assay.monitors.trainer_state` says how), which the monitors see; the run
log in the output directory is what `assay monitor watch` and `assay monitor audit` read. On an alarm:

    stop, roll_back_to_checkpoint   training ends; `keep` and the log name the last checkpoint that the alarm leaves
    raise_kl_coef                   `trainer.beta` rises by a factor, up to a limit; not where it is 0 (no reference)
    ask_a_person                    a warning and a line in the log; training goes on

A resumed run replays the log that its checkpoint holds, so monitors, beta and run log are where they were.

Does not catch: what was not logged; monitors that lack a metric are named in a warning once. It changes no weights: the
model in memory stays the one at which the alarm rang. A loss that copied beta when it was made does not see it rise.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from transformers import TrainerCallback

from assay.alignment.acting import latest_to_keep
from assay.alignment.kl_coef import KlCoef
from assay.monitors import Monitor, MonitorBank, default_monitors
from assay.monitors.run_log import RUN_LOG, Acted, Begun, Ended, Rang, RunLog, Seen
from assay.monitors.trainer_state import TrainerLog
from assay.records.observation import Action, Alarm, Observation

_LOG = logging.getLogger(__name__)


class Keep(NamedTuple):
    """What to take in place of the trained model: the alarm that ended training, and a checkpoint's directory.

    `checkpoint` is None where none from before the alarm is on disk.
    """

    alarm: Alarm
    checkpoint: Path | None


class MonitorCallback(TrainerCallback):
    """Shows a trainer's logs to monitors and does what their alarms ask.

    `monitors` are the default ones where None. `completions` is how many one log entry averages over; where None it is
    worked out from the arguments of a trainer that samples. Raises ConfigError for an impossible raise of beta.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        monitors: Sequence[Monitor] | None = None,
        completions: int | None = None,
        kl_raise_factor: float = 2.0,
        kl_raise_limit: float = 8.0,
    ) -> None:
        self._now, self._completions = now, completions
        self._bank = MonitorBank(default_monitors() if monitors is None else monitors)
        self._factor, self._limit = kl_raise_factor, kl_raise_limit
        self._trainer: Any = None
        self._beta = KlCoef(0.0, factor=kl_raise_factor, limit=kl_raise_limit)
        self._began_with = 0.0
        self._log: RunLog | None = None
        self._reader = TrainerLog()
        self._is_first = True
        self.alarms: list[Alarm] = []
        self.keep: Keep | None = None

    def steer(self, trainer: Any) -> None:
        """Let `raise_kl_coef` act on the trainer's `beta`; take the weights of its reward functions."""
        self._trainer, self._began_with = trainer, float(getattr(trainer, "beta", 0.0) or 0.0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin the log; see again what a resumed run logged before, with its raises but without ending it."""
        self.alarms, self.keep, self._is_first = [], None, True
        self._beta = KlCoef(self._began_with, factor=self._factor, limit=self._limit)
        completions = self._completions or completions_per_entry(args, state)
        self._reader = TrainerLog(completions, _weights(args, self._trainer))
        self._log = self._begin_log(args, state) if state.is_world_process_zero else None
        for entry in state.log_history:
            self._take(entry, entry.get("step", 0))

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, object] | None = None, **kwargs: Any
    ) -> None:
        """Show what was logged to the monitors, and act on their alarms."""
        rung = self._take(logs or {}, state.global_step)
        if latest_to_keep(rung) is None:
            return
        control.should_training_stop = True
        latest = latest_to_keep(self.alarms) or 0  # also those from before a resumption that went on in spite of them
        self.keep = Keep(rung[0], _last_checkpoint(Path(args.output_dir), latest))
        self._say(state.global_step, rung[0].action, f"training ends; {_take_instead(self.keep)}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write how it ended, and which checkpoint is to be taken."""
        kept, reason = state.global_step, "all steps taken"
        if self.keep is not None:
            kept = None if self.keep.checkpoint is None else _step_of(self.keep.checkpoint)
            reason = f"{self.keep.alarm.monitor}: {self.keep.alarm.message}"
        if self._log is not None:
            self._log.append(Ended(at=self._now(), kept_step=kept, reason=reason))

    def _take(self, entry: Mapping[str, object], step: int) -> list[Alarm]:
        """One log entry: its observation to the monitors and into the log, and beta raised where they ask for it."""
        observation = self._reader.read(entry, step)
        if observation is None:
            return []
        self._warn_of_silence(observation)
        rung = self._bank.observe(observation, self._now())
        self.alarms += rung
        if self._log is not None:
            self._log.append(Seen(at=self._now(), observation=observation))
            for alarm in rung:
                self._log.append(Rang(alarm=alarm))
        asked = {alarm.action for alarm in rung}
        if "raise_kl_coef" in asked:
            self._say(step, "raise_kl_coef", self._raise_beta())
        if "ask_a_person" in asked:
            messages = "; ".join(alarm.message for alarm in rung if alarm.action == "ask_a_person")
            self._say(step, "ask_a_person", f"training goes on; a person is asked to look: {messages}")
        return rung

    def _raise_beta(self) -> str:
        if not self._began_with:
            return "beta stays as it is: the trainer keeps no reference, or `steer` was not called"
        raised = self._beta.raise_once()
        self._trainer.beta = raised.after
        return raised.said

    def _warn_of_silence(self, observation: Observation) -> None:
        silent = self._bank.silent(observation) if self._is_first else {}
        self._is_first = False
        if silent:
            each = "; ".join(f"{name} lacks {', '.join(sorted(missed))}" for name, missed in sorted(silent.items()))
            _LOG.warning("monitors that cannot judge this run: %s", each)

    def _say(self, step: int, action: Action, said: str) -> None:
        if self._log is not None:
            _LOG.warning("step %d, %s: %s", step, action.replace("_", " "), said)
            self._log.append(Acted(at=self._now(), step=step, action=action, said=said))

    def _begin_log(self, args: Any, state: Any) -> RunLog:
        output = Path(args.output_dir)
        method = "trainer" if self._trainer is None else type(self._trainer).__name__
        begun = Begun(at=self._now(), name=output.name, method=method, steps=state.max_steps, monitors=self._bank.names)
        return RunLog(output / RUN_LOG, begun)


def completions_per_entry(args: Any, state: Any) -> int | None:
    """How many sampled completions one log entry averages over; None for a trainer that does not sample.

    TRL counts completions, not prompts, in the batch size, and learns `num_iterations` times from each.
    """
    if not hasattr(args, "num_generations"):
        return None
    a_step = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    return max(1, round(a_step * state.logging_steps / getattr(args, "num_iterations", 1)))


def _weights(args: Any, trainer: Any) -> dict[str, float]:
    """The weights of a trainer's reward functions by name; none where all are 1 or the trainer is not known."""
    names, weights = getattr(trainer, "reward_func_names", None), getattr(args, "reward_weights", None)
    return {} if not names or not weights else dict(zip(names, map(float, weights), strict=True))


def _last_checkpoint(output: Path, latest: float) -> Path | None:
    """The newest `checkpoint-STEP` up to a step."""
    found = [path for path in output.glob("checkpoint-*") if path.is_dir() and 0 <= _step_of(path) <= latest]
    return max(found, key=_step_of, default=None)


def _step_of(checkpoint: Path) -> int:
    step = checkpoint.name.rpartition("-")[2]
    return int(step) if step.isdecimal() else -1


def _take_instead(keep: Keep) -> str:
    if keep.checkpoint is None:
        return "no checkpoint from before the alarm is on disk: save more often (save_steps) and train anew"
    return f"take {keep.checkpoint.name}, not the model in memory"
