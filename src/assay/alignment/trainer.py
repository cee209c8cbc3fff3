"""Trainer: the one step loop of all methods. Takes a task that yields a loss a step; leaves a tuned adapter behind.

At step boundaries it hands control to an observer, which may end the run; a task and an observer give their state as
plain data, so that a run killed at any step goes on exactly where it was. All randomness is the task's, from its seed.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch

from assay.alignment.checkpoint import hand_out, restore_checkpoint, save_checkpoint
from assay.alignment.distributed import ALONE, Group, Part
from assay.alignment.faults import memory_faults
from assay.alignment.settings import TrainerSettings
from assay.lm import LanguageModel
from assay.lm.adapters import policy_parameters
from assay.lm.step_size import step_size_factor
from assay.records.errors import TrainingError, explain

PART_TOKENS = 512
"""Tokens whose activations are held in memory at a time, by tasks in parts; a step's gradient does not depend on it."""


class StepLoss(NamedTuple):
    """A scalar loss with its gradient graph, and numbers to log under TRL's names."""

    value: torch.Tensor
    metrics: dict[str, float]


class Task(Protocol):
    """A method: how many steps it takes and the loss of each. `state` and `restore` carry what a resume needs."""

    steps: int

    def loss(self, step: int) -> StepLoss:
        """The loss of step `step` (from 0) under the current weights."""
        ...

    def state(self) -> dict[str, Any]:
        """Plain data from which `restore` continues."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` gave."""
        ...


@runtime_checkable
class InParts(Protocol):
    """A task whose loss comes in parts: one part's activations are in memory at a time."""

    def parts(self, step: int) -> Iterator[StepLoss]:
        """Parts whose values and metrics add up to those of the step, over all processes where these share it."""
        ...


@runtime_checkable
class Shareable(InParts, Protocol):
    """A task in parts whose steps the processes of a group share out."""

    group: Group


def counted(part: Part, loss: StepLoss) -> StepLoss:
    """The loss of a part, or nothing where it does not count."""
    return loss if part.counts else StepLoss(0.0 * loss.value, {})


def whole(parts: Iterable[StepLoss]) -> StepLoss:
    """The sum of parts, values and metrics."""
    value, metrics = torch.zeros(()), dict[str, float]()
    for part in parts:
        value = value + part.value
        metrics |= {name: metrics.get(name, 0.0) + number for name, number in part.metrics.items()}
    return StepLoss(value, metrics)


class Observer(Protocol):
    """Looks at the policy between steps. True from `look` ends the run."""

    def look(self, step: int, *, is_last: bool = False) -> bool:
        """Called before step `step`, and once after the last (`is_last`); may sample, measure, and ask to stop."""
        ...

    def state(self) -> dict[str, Any]:
        """Plain data from which `restore` continues."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` gave."""
        ...


class TrainerResult(NamedTuple):
    """Steps taken, whether the observer ended the run, and the log: one dictionary a step."""

    steps: int
    was_stopped: bool
    log: list[dict[str, float]]


def train(
    lm: LanguageModel,
    task: Task,
    settings: TrainerSettings,
    *,
    directory: Path,
    fingerprint: str,
    observer: Observer | None = None,
    resume: bool = False,
    progress: Callable[[int, dict[str, float]], object] | None = None,
) -> TrainerResult:
    """Take the task's steps on the policy's adapter. `fingerprint` names settings and data: a resume must match it.

    Where a group shares the task, each process has a `directory` of its own, process 0 alone writes checkpoints, and a
    resume may have another number of processes. Raises TrainingError when a loss or gradient is not finite or memory
    runs out; the last checkpoint is then still whole.
    """
    group = _group_of(task)
    group.require_same("settings, data and model", fingerprint)
    parameters = list(policy_parameters(lm).values())
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    start, log = 0, []
    if resume:
        hand_out(directory, group)
        restored = restore_checkpoint(directory, lm, optimizer, fingerprint=fingerprint)
        if restored is not None:
            start, log = restored.step, restored.log
            task.restore(restored.extra["task"])
            if observer is not None:
                observer.restore(restored.extra["observer"])
    for step in range(start, task.steps):
        with memory_faults(step):
            if observer is not None and observer.look(step):
                return TrainerResult(step, True, log)
            entry = _take_step(lm, task, settings, optimizer, parameters, step)
        log.append(entry)
        if progress is not None:
            progress(step + 1, entry)
        if (step + 1) % settings.save_steps == 0 and group.is_leader:
            extra = {"task": task.state(), "observer": observer.state() if observer is not None else {}}
            save_checkpoint(
                directory,
                lm,
                optimizer,
                step=step + 1,
                log=log,
                extra=extra,
                fingerprint=fingerprint,
                keep=settings.save_total_limit,
            )
    was_stopped = observer is not None and observer.look(task.steps, is_last=True)
    return TrainerResult(task.steps, was_stopped, log)


def _group_of(task: Task) -> Group:
    return task.group if isinstance(task, Shareable) else ALONE


def _take_step(
    lm: LanguageModel,
    task: Task,
    settings: TrainerSettings,
    optimizer: torch.optim.Optimizer,
    parameters: list[torch.nn.Parameter],
    step: int,
) -> dict[str, float]:
    rate = settings.learning_rate * step_size_factor(
        step, task.steps, warmup_ratio=settings.warmup_ratio, kind=settings.lr_scheduler_type
    )
    for parameter_group in optimizer.param_groups:
        parameter_group["lr"] = rate
    parts = task.parts(step) if isinstance(task, InParts) else [task.loss(step)]
    own = whole(_learned(part) for part in parts)
    group = _group_of(task)
    group.add_gradients(parameters)
    loss = whole(group.gather(own))
    norm = torch.nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm)
    value = float(loss.value)
    if not math.isfinite(value) or not math.isfinite(float(norm)):
        do = "look at the data of this step, or run anew with a lower learning_rate; the last checkpoint is whole"
        got = f"loss {value}, gradient norm {float(norm)} at step {step}"
        raise TrainingError(explain(expected="a finite loss and gradient", got=got, do=do))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"step": step + 1, "loss": value, "grad_norm": float(norm), "learning_rate": rate, **loss.metrics}


def _learned(part: StepLoss) -> StepLoss:
    """The part without its graph, once its gradient is added to the parameters."""
    part.value.backward()
    return part._replace(value=part.value.detach())
