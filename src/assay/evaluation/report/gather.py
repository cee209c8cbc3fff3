"""Gather: finds the records around an Evidence in a workspace, and writes their report."""

from pathlib import Path
from typing import TypeVar

from assay.evaluation.report.page import Dossier, write_report
from assay.records.decision import Approval, ChangeRequest, Decision
from assay.records.errors import StorageError, explain
from assay.records.evidence import Evidence
from assay.records.policy import PolicyVersion
from assay.records.preference import AggregationReport
from assay.records.record import Record
from assay.records.reward import RewardVersion
from assay.records.run import StageRecord
from assay.storage import Workspace

R = TypeVar("R", bound=Record)


def report_from_workspace(workspace: Workspace, out: Path, *, evidence_id: str | None = None) -> Path:
    """Write the report on the latest Evidence, or on the one named, to `out` and return its path.

    The ledger is verified on the way. Raises StorageError when there is no evidence, LedgerError for a broken chain.
    """
    records = workspace.records
    evidence = records.get(Evidence, evidence_id) if evidence_id else records.latest(Evidence)
    if evidence is None:
        todo = "judge a policy first, with `assay evaluate`"
        raise StorageError(explain(expected="evidence in this workspace", got="none", do=todo))
    return write_report(out, evidence, gather(workspace, evidence))


def gather(workspace: Workspace, evidence: Evidence) -> Dossier:
    """The policies on the page, the reward that trained them, the aggregation, the release and the ledger's head."""
    records = workspace.records
    wanted = [evidence.policy, *(curve.policy for curve in evidence.curves), evidence.reference]
    known = {policy.id: policy for policy in records.all(PolicyVersion)}
    trained = {identity.content_hash for identity in evidence.firewall.training}
    request = _last([one for one in records.all(ChangeRequest) if one.evidence == evidence.id])
    request_id = None if request is None else request.id
    stages = records.all(StageRecord)
    rewards = {reward.identity.content_hash: reward for reward in records.all(RewardVersion)}
    reward = _optimised(known.get(evidence.policy), rewards, trained)
    report_id = None if reward is None else reward.aggregation_report
    return Dossier(
        policies=tuple(known[name] for name in dict.fromkeys(wanted) if name in known),
        reward=reward,
        aggregation=records.get(AggregationReport, report_id) if report_id else records.latest(AggregationReport),
        change_request=request,
        approvals=tuple(one for one in records.all(Approval) if one.change_request == request_id),
        decision=_last([one for one in records.all(Decision) if one.change_request == request_id]),
        ledger_checkpoint=workspace.ledger.verify(),
        stages=tuple(stage for stage in stages if stage.run == stages[-1].run),
    )


def _optimised(
    policy: PolicyVersion | None, rewards: dict[str, RewardVersion], trained: set[str]
) -> RewardVersion | None:
    """The reward that a policy was pushed against: the first of its signals; a watch panel comes behind it."""
    signals = () if policy is None else policy.training_signals
    return next(
        (rewards[s.content_hash] for s in signals if s.content_hash in rewards and s.content_hash in trained), None
    )


def _last(found: list[R]) -> R | None:
    return found[-1] if found else None
