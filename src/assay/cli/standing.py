"""Standing: a walk over a workspace as it stands, so that single commands reuse the stages of the whole walk.

What the stages would have made is taken from the latest records: the latest aggregation of each split, the latest proxy
and watch panel, the latest policy of each name.
"""

from assay.cli.config import AlignmentConfig, FeedbackConfig, RunConfig
from assay.cli.context import now
from assay.cli.walk import Walk
from assay.records.policy import PolicyVersion
from assay.records.preference import AggregationReport
from assay.records.reward import RewardVersion
from assay.records.run import StageRecord
from assay.storage import Workspace

STAGE_OF_POLICY = {"reference": "model"}
"""Stages that are not called like the policy they make."""


def walk_over(workspace: Workspace, *, model: str, seed: int, alignment: AlignmentConfig | None = None) -> Walk:
    """A walk whose earlier stages are the latest records of the workspace."""
    config = RunConfig(
        name="steps",
        model=model,
        seed=seed,
        feedback=FeedbackConfig(source="file"),
        alignment=alignment or AlignmentConfig(),
    )
    records = workspace.records
    outputs: dict[str, dict[str, str]] = {
        "preferences": {report.split: report.id for report in records.all(AggregationReport)},
        "rewards": {
            {"watch-panel": "watch"}.get(version.name, version.name): version.id
            for version in records.all(RewardVersion)
        },
    }
    for policy in records.all(PolicyVersion):
        stage = STAGE_OF_POLICY.get(policy.name, policy.name)
        outputs[stage] = {"policy": policy.id, "adapter": policy.adapter or ""}
    done = {stage: _record(config, stage, made) for stage, made in outputs.items() if made}
    return Walk(workspace, config, resume=False, done=done)


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
