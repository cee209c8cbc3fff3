"""Acting: the observer that does what the monitors ask of a run, and writes the run log as things happen.

    stop                      the run ends; the checkpoint before the alarm is kept, for the one at which a monitor
                              rang is already more than the run was allowed
    roll_back_to_checkpoint   the run ends; the checkpoint is kept that the alarm's evidence names as `best_step`, or
                              the one before the alarm where it names none
    raise_kl_coef             the run goes on with a KL coefficient raised once for this checkpoint, up to a limit
    ask_a_person              the run goes on; the alarm waits for a person

Alarms change when a run ends, which checkpoint is kept, and how strongly the reference pulls. They never change a
reward. The log and all that is decided here are part of the state from which an interrupted run goes on exactly.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from assay.alignment.kl_coef import KlCoef
from assay.alignment.measuring import MeasuringObserver
from assay.alignment.sampling import PolicySampler
from assay.alignment.trainer import Task
from assay.monitors.proxy_panel_gap import PANEL
from assay.monitors.run_log import Acted, Ended, Rang, RunLog, Sampled, Seen
from assay.monitors.watch import ENDING
from assay.records.observation import Action, Alarm
from assay.records.policy import CheckpointRecord

ROLL_BACK: Action = "roll_back_to_checkpoint"
BEST_STEP = "best_step"
"""Key of an alarm's evidence: the step of the checkpoint to which the monitor would go back."""
SHOWN = 2
"""Completions of a checkpoint that the log shows."""


def latest_to_keep(alarms: Sequence[Alarm]) -> float | None:
    """The latest step that alarms of one checkpoint leave to be kept; None where none of them ends the run."""
    ending = [alarm for alarm in alarms if alarm.action in ENDING]
    named = [alarm.evidence[BEST_STEP] for alarm in ending if alarm.action == ROLL_BACK and BEST_STEP in alarm.evidence]
    return min([*named, *(alarm.step - 1 for alarm in ending)], default=None)


@runtime_checkable
class HasKlCoef(Protocol):
    """A task whose pull towards the reference can be raised while it runs."""

    kl_coef: KlCoef


@runtime_checkable
class MeasuresItself(Protocol):
    """A task with numbers of its own for the monitors, such as those of its constraints."""

    def observed(self, step: int) -> Mapping[str, float]:
        """The numbers at a step, by the metrics' names."""
        ...


class ActingObserver:
    """Measures through `measuring`, then acts on `task` and writes into `log`."""

    def __init__(
        self,
        measuring: MeasuringObserver,
        task: Task,
        sampler: PolicySampler,
        log: RunLog,
        *,
        now: Callable[[], datetime],
        keeps_best: bool = False,
    ) -> None:
        self._measuring, self._task, self._sampler, self._log, self._now = measuring, task, sampler, log, now
        self._keeps_best = keeps_best

    @property
    def checkpoints(self) -> Sequence[CheckpointRecord]:
        """What was measured."""
        return self._measuring.checkpoints

    @property
    def alarms(self) -> Sequence[Alarm]:
        """All alarms, also those that did not end the run."""
        return self._measuring.alarms

    @property
    def ended_by(self) -> Alarm | None:
        """The alarm that ended the run."""
        return self._measuring.stopped_by

    def look(self, step: int, *, is_last: bool = False) -> bool:
        """Measure when due, and act on the alarms; True when one of them ends the run."""
        measured, rung = len(self.checkpoints), len(self.alarms)
        own = self._task.observed if isinstance(self._task, MeasuresItself) else None
        is_over = self._measuring.look(step, is_last=is_last, own=own)
        for checkpoint in self.checkpoints[measured:]:
            seen = Seen(at=self._now(), observation=checkpoint.observation, completions=tuple(self._shown()))
            self._log.append(seen)
        new = self.alarms[rung:]
        for alarm in new:
            self._log.append(Rang(alarm=alarm))
        asked = {alarm.action for alarm in new}
        if "raise_kl_coef" in asked and not is_over:
            self._note(step, "raise_kl_coef", self._raise_kl_coef())
        if "ask_a_person" in asked:
            self._note(step, "ask_a_person", "the run goes on; a person is asked to look")
        return is_over

    def kept(self) -> CheckpointRecord:
        """The checkpoint that becomes the policy: the last that ending alarms leave, or the panel's best of those."""
        last = self.checkpoints[-1]
        latest = latest_to_keep([alarm for alarm in self.alarms if alarm.step == last.step])
        left = [one for one in self.checkpoints if latest is None or one.step <= latest] or [self.checkpoints[0]]
        return max(left, key=lambda one: one.observation.values[PANEL]) if self._keeps_best else left[-1]

    def end(self, reason: str) -> None:
        """Write that the run is over and which checkpoint was kept."""
        kept = self.kept()
        if self.ended_by is not None:
            said = f"the run ended; the checkpoint at step {kept.step} is kept"
            self._note(self.ended_by.step, self.ended_by.action, said)
        self._log.append(Ended(at=self._now(), kept_step=kept.step, reason=reason))

    @contextmanager
    def noting_a_break(self) -> Iterator[None]:
        """Write that the run is over when an error or an interruption ends the block."""
        with self._log.noting_a_break(self._now):
            yield

    def state(self) -> dict[str, Any]:
        """What was measured and rang, and the log."""
        return {"measuring": self._measuring.state(), "log": self._log.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take both up again; what the log holds beyond them never happened."""
        self._measuring.restore(state["measuring"])
        self._log.restore(state["log"])

    def _raise_kl_coef(self) -> str:
        if isinstance(self._task, HasKlCoef):
            return self._task.kl_coef.raise_once().said
        return "this method has no KL coefficient that could be raised"

    def _note(self, step: int, action: Action, said: str) -> None:
        self._log.append(Acted(at=self._now(), step=step, action=action, said=said))

    def _shown(self) -> Iterator[Sampled]:
        """A few completions of different prompts, as even over the prompts as can be."""
        samples = self._sampler.last
        if samples is None:
            return
        prompts = self._sampler.prompts
        for place in range(min(SHOWN, len(prompts))):
            prompt = place * len(prompts) // SHOWN
            text = samples.texts[samples.prompt_index.index(prompt)]
            yield Sampled(prompt=prompts[prompt][-1].content, text=text)
