"""Job: a run to be taken to another trainer, the bundle of files it becomes, and what all three bundles share."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from assay.alignment.exchange.rows import Source
from assay.alignment.settings import DpoSettings, GrpoSettings, SftSettings
from assay.records.errors import ConfigError, explain

Settings = SftSettings | DpoSettings | GrpoSettings


class ServedReward(NamedTuple):
    """Where the other trainer finds the reward: the workspace's directory and the reward's id there."""

    workspace: Path
    reward: str


class Job(NamedTuple):
    """A run to be taken elsewhere. `model` is a directory or hub id; `reward` is needed where completions are sampled.

    `records` are demonstrations, preferences or prompts, as the settings need them. `context_length` is the model's:
    trainers that cut or drop longer texts are told not to before it.
    """

    settings: Settings
    records: Sequence[Source]
    model: str
    context_length: int
    seed: int
    reward: ServedReward | None = None


class Bundle(NamedTuple):
    """The files of an export by name, and what the other trainer does otherwise, in sentences."""

    files: dict[str, bytes]
    differences: tuple[str, ...]


def served(job: Job) -> ServedReward:
    """The reward of a job that samples. Raises ConfigError without one."""
    if job.reward is None:
        do = "train one with `assay reward train`"
        raise ConfigError(explain(expected="a reward for a trainer that samples", got="none", do=do))
    return job.reward


def refuse(peer: str, faults: Sequence[str]) -> None:
    """Raise ConfigError that lists the faults, if there are any."""
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise ConfigError(f"expected a run that {peer} can do too; mend these settings, or run it here:\n{lines}")


def left_out(settings: Settings) -> list[str]:
    """What no other trainer takes over, in sentences."""
    found = ["monitors: none watches the run"]
    if settings.lora.top_layers is not None:
        found.append("lora.top_layers: all layers are adapted, which costs more")
    if isinstance(settings, DpoSettings):
        if settings.soft_labels:
            found.append("soft_labels: each preference counts as certain; probabilities stand in the data unread")
        if settings.use_weights:
            found.append("use_weights: each preference counts alike; weights stand in the data unread")
        if settings.demonstrations_share:
            found.append("demonstrations_share: no demonstrations are mixed in")
        if settings.margin_scale:
            found.append("margin_scale: the loss has no margin; margins stand in the data unread")
        if settings.surface_offset:
            found.append("surface_offset: what people's choices owe to these columns is learnt like the rest")
    if isinstance(settings, GrpoSettings) and settings.kl_target is not None:
        found.append("kl_target: the KL coefficient stays as it is")
    return found


def reward_file(reward: ServedReward, function: str, name: str) -> bytes:
    """A Python file that opens the reward and offers it as `name`, by one of `assay.rewards.serving`'s functions."""
    return (
        f'"""Reward: {reward.reward[:12]} of the workspace below; needs the package `assay` beside the trainer."""\n\n'
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n\n"
        f"from assay.rewards.serving import open_scorer, {function}\n"
        "from assay.storage import Workspace\n\n"
        f"WORKSPACE = Path({str(reward.workspace)!r})\n"
        f"{name} = {function}(open_scorer(Workspace(WORKSPACE), {reward.reward!r}, now=datetime.now(UTC)))\n"
    ).encode()


def script(*commands: Sequence[object]) -> bytes:
    """A shell script that goes to its own directory and runs the commands, one argument a line."""
    lines = ["#!/bin/sh", "set -eu", 'cd "$(dirname "$0")"']
    for command in commands:
        lines.append(" \\\n    ".join(_quoted(word) for word in command) + ' "$@"')
    return ("\n".join(lines) + "\n").encode()


def _quoted(word: object) -> str:
    """A word as the shell takes it; `${NAME:-default}` is left to the shell."""
    text = str(word)
    return f'"{text}"' if "${" in text else shlex.quote(text)
