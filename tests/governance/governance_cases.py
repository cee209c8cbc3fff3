"""Cases: a policy, evidence that ships, enrolled people and a request, with every part open to change."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from assay.governance import (
    Gate,
    SigningKey,
    approve,
    create_key,
    decide,
    enroll,
    load_gates,
    open_change_request,
)
from assay.records.decision import ChangeRequest, Decision
from assay.records.evidence import Estimate, Evidence, FirewallReport, RaterReport, RegressionCheck
from assay.records.identity import ScorerIdentity
from assay.records.policy import PolicyVersion
from assay.records.provenance import Provenance
from assay.storage import Workspace

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
WEEK = timedelta(days=7)
PROVENANCE = Provenance(seed=7, data_hash="d" * 64, code_version="0.1.0+src.abc", config_hash="c" * 64)
REWARD = ScorerIdentity(name="helpful", scorer_kind="reward_model", content_hash="a" * 64, rows=("j1", "j2"))
JUDGE = ScorerIdentity(name="judge", scorer_kind="judge", content_hash="b" * 64, rows=("j3",))
GATES: tuple[Gate, ...] = load_gates()


def estimate(value: float, *, low: float | None = None, high: float | None = None, n: int = 200) -> Estimate:
    return Estimate(value=value, low=value if low is None else low, high=value if high is None else high, n=n)


def a_policy(**changes: object) -> PolicyVersion:
    fields: dict[str, object] = {
        "name": "tuned",
        "base_model": "smollm2",
        "adapter": "e" * 64,
        "ref_policy": None,
        "method": "best_of_n",
        "training_signals": (REWARD,),
        "provenance": PROVENANCE,
        "created_at": NOW,
    }
    return PolicyVersion.model_validate({**fields, **changes})


def a_rater(identity: ScorerIdentity = JUDGE) -> RaterReport:
    return RaterReport(
        identity=identity,
        wins=120,
        losses=60,
        ties=20,
        win_rate=estimate(0.65, low=0.58, high=0.71),
        adjusted_win_rate=estimate(0.6, low=0.53, high=0.67),
        order_flips=0.1,
    )


def some_metrics(**changes: Estimate) -> dict[str, Estimate]:
    found = {
        "evaluation/panel_adjusted_win_rate": estimate(0.6, low=0.53, high=0.67),
        "evaluation/win_rate/judge": estimate(0.65, low=0.58, high=0.71),
        "evaluation/adjusted_win_rate/judge": estimate(0.6, low=0.53, high=0.67),
        "evaluation/regressions_broken": estimate(0.0, n=3),
    }
    return {**found, **changes}


def some_evidence(policy: PolicyVersion, **changes: object) -> Evidence:
    fields: dict[str, object] = {
        "policy": policy.id,
        "reference": "base",
        "verdict": "SHIP",
        "reason": "the panel prefers it",
        "firewall": FirewallReport(training=(REWARD,), evaluation=(JUDGE,), is_clean=True),
        "raters": (a_rater(),),
        "regressions": (a_check(is_broken=False),),
        "metrics": some_metrics(),
        "prompts": 200,
        "provenance": PROVENANCE,
        "created_at": NOW,
    }
    return Evidence.model_validate({**fields, **changes})


def a_check(*, is_broken: bool) -> RegressionCheck:
    return RegressionCheck(
        name="grammar", reference=0.8, policy=0.79, noise_floor=0.02, higher_is_better=True, is_broken=is_broken
    )


class Office:
    """A workspace with a stored policy and evidence, and enrolled people: olga (owner), anna and ben (approvers)."""

    def __init__(self, directory: Path, **evidence_changes: object) -> None:
        self.workspace = Workspace(directory)
        self.keys = directory / "keys"
        self.policy = a_policy()
        self.evidence = some_evidence(self.policy, **evidence_changes)
        self.workspace.records.put(self.policy)
        self.workspace.records.put(self.evidence, subject=self.policy.id)
        self.olga = self.hire("olga", "owner")
        self.anna = self.hire("anna", "approver")
        self.ben = self.hire("ben", "approver")

    def hire(self, name: str, role: str) -> SigningKey:
        key = create_key(self.keys, name)
        enroll(self.workspace, key, role=role, now=NOW)
        return key

    def request(self, *, requested_by: str = "rita", expires_in: timedelta = WEEK) -> ChangeRequest:
        return open_change_request(
            self.workspace,
            self.policy,
            evidence=self.evidence,
            requested_by=requested_by,
            reason="better answers",
            gates=GATES,
            now=NOW,
            expires_in=expires_in,
        )

    def answer(self, request: ChangeRequest, key: SigningKey, *, approves: bool = True, now: datetime = NOW) -> str:
        return approve(self.workspace, request, key=key, comment="read it", approves=approves, now=now).id

    def release(self) -> Decision:
        request = self.request()
        self.answer(request, self.anna)
        self.answer(request, self.ben)
        return decide(self.workspace, request, key=self.olga, now=LATER)
