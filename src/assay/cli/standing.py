"""Standing: a walk over a workspace as it stands, so that single commands reuse the stages of the whole walk.

What the stages would have made is taken from the latest records: the latest aggregation of each split, the latest proxy
with the watch panel that fits it, the latest policy of each name.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from assay.alignment.distributed import ALONE, Group
from assay.cli.config import RunConfig, parse_config, reward_name_fault
from assay.cli.context import now, open_workspace
from assay.cli.walk import STEPS, Walk
from assay.records.errors import ConfigError, InputError, explain
from assay.records.policy import PolicyVersion
from assay.records.preference import AggregationReport
from assay.records.reward import RewardVersion
from assay.records.run import StageRecord
from assay.storage import Workspace
from assay.storage.lock import run_lock

STAGE_OF_POLICY = {"reference": "model"}
"""Stages that are not called like the policy they make."""


@contextmanager
def open_walk(
    directory: Path,
    *,
    model: str | None,
    seed: int,
    resume: bool = False,
    group: Group = ALONE,
    **sections: dict[str, Any],
) -> Iterator[Walk]:
    """Hold the lock of an existing workspace and walk over it. `sections` are those of a recipe, as plain data.

    Of a group, process 0 holds the lock and writes; the others read, and keep their scratch files elsewhere.
    `model` None is the one that the workspace was made with. Raises ConfigError without workspace or reference policy
    and for wrong settings, BusyError while another run holds the directory.
    """
    with ExitStack() as until_done:
        workspace = open_workspace(directory)
        until_done.callback(workspace.close)
        own = None
        if group.is_leader:
            until_done.enter_context(run_lock(directory))
            workspace.artifacts.clean()
        else:
            own = Path(until_done.enter_context(tempfile.TemporaryDirectory(prefix="assay-")))
        references = [policy for policy in workspace.records.all(PolicyVersion) if policy.method == "reference"]
        if not references:
            do = f"name the model with `assay init -w {directory} --model MODEL`"
            raise ConfigError(explain(expected=f"a reference policy in {directory}", got="none", do=do))
        data = {"name": STEPS, "seed": seed, "feedback": {"source": "file"}, **sections}
        data["model"] = model or references[-1].base_model
        config = parse_config(data, where="the command's settings")
        group.require_same("settings", config.hash)  # and the workspace is clean before anybody writes
        yield walk_over(workspace, config, resume=resume, group=group, own_scratch=own)


def walk_over(
    workspace: Workspace,
    config: RunConfig,
    *,
    resume: bool = False,
    group: Group = ALONE,
    own_scratch: Path | None = None,
) -> Walk:
    """A walk whose earlier stages are the latest records of the workspace."""
    records = workspace.records
    made: dict[str, dict[str, str]] = {
        "preferences": {report.split: report.id for report in records.all(AggregationReport)},
        "rewards": _rewards(records.all(RewardVersion)),
    }
    for policy in records.all(PolicyVersion):
        made[STAGE_OF_POLICY.get(policy.name, policy.name)] = {"policy": policy.id, "adapter": policy.adapter or ""}
    done = {stage: _record(config, stage, outputs) for stage, outputs in made.items()}
    return Walk(workspace, config, resume=resume, done=done, group=group, own_scratch=own_scratch)


def require(walk: Walk, stage: str, name: str, *, do: str) -> None:
    """Raise InputError that says what to `do` when the workspace lacks what a stage needs."""
    if walk.output(stage, name) is None:
        where = walk.workspace.directory
        raise InputError(
            explain(expected=f"{stage} ({name}) in {where}", got="none", do=f"run `{do} -w {where}` first")
        )


def _rewards(versions: list[RewardVersion]) -> dict[str, str]:
    """The latest reward of each name, and the latest watch panel that fits the proxy.

    It does where it reads the same layers of the same backbone; tuned weights read all, so any panel goes with them.
    """
    latest = {version.name: version for version in versions}
    outputs = {name: version.id for name, version in latest.items() if reward_name_fault(name) is None}
    proxy, watch = latest.get("proxy"), latest.get("watch-panel")
    if proxy is None:
        return outputs
    outputs["proxy"] = proxy.id
    is_read_alike = watch is not None and (proxy.made_of == "tuned" or watch.layer == proxy.layer)
    if watch is not None and watch.backbone == proxy.backbone and is_read_alike:
        outputs["watch"] = watch.id
    return outputs


def _record(config: RunConfig, stage: str, outputs: dict[str, str]) -> StageRecord:
    return StageRecord(
        created_at=now(),
        run=config.name,
        stage=stage,
        config_hash=config.hash,
        outputs=outputs,
        seconds=0,
        cpu_seconds=0,
        peak_memory_mib=0,
    )
