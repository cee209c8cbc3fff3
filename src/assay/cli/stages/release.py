"""Release: cards, a change request, two approvals and a signed decision; in the demo by simulated approvers."""

from datetime import timedelta

from assay.cli.context import now
from assay.cli.walk import Outcome, Walk
from assay.governance import (
    SigningKey,
    approve,
    create_key,
    decide,
    enroll,
    load_gates,
    load_key,
    open_change_request,
    people,
    write_cards,
)
from assay.governance.enrolment import Role
from assay.records.evidence import Evidence
from assay.records.policy import PolicyVersion

APPROVERS: tuple[tuple[str, Role], ...] = (("simulated-reviewer", "approver"), ("simulated-owner", "owner"))


def decide_release(walk: Walk) -> Outcome:
    """Ask for the release of the judged policy, and let the approvers answer where they are simulated."""
    workspace = walk.workspace
    evidence_id, policy_id = walk.output("evaluation", "evidence"), walk.output("evaluation", "policy")
    if evidence_id is None or policy_id is None:
        return Outcome(skipped=("release: there is no evidence to decide on",), said="left out")
    policy = workspace.records.get(PolicyVersion, policy_id)
    evidence = workspace.records.get(Evidence, evidence_id)
    cards = workspace.directory / "cards"
    if walk.config.release == "people":
        write_cards(workspace, policy.id, directory=cards, now=now())
        command = f"assay release request {policy.short_id} --by NAME --reason WHY -w {workspace.directory}"
        return Outcome(
            {"cards": str(cards)}, skipped=(f"release: people decide, with `{command}`",), said="cards written"
        )
    request = open_change_request(
        workspace,
        policy,
        evidence=evidence,
        requested_by="simulated-engineer",
        reason=f"the walk's evaluation says {evidence.verdict}",
        gates=load_gates(),
        now=now(),
        expires_in=timedelta(days=7),
    )
    keys = [_key(walk, name, role) for name, role in APPROVERS]
    failed = [gate.gate for gate in request.gates if not gate.passed]
    comment = f"the verdict is {evidence.verdict}, and {len(failed) or 'no'} of {len(request.gates)} gates failed"
    for key in keys:
        approve(workspace, request, key=key, comment=comment, approves=not failed, now=now())
    decision = decide(workspace, request, key=keys[1], now=now())
    write_cards(workspace, policy.id, directory=cards, now=now())
    outputs = {"change_request": request.id, "decision": decision.id, "outcome": decision.outcome, "cards": str(cards)}
    gates = f"{len(request.gates) - len(failed)} of {len(request.gates)} gates passed"
    return Outcome(outputs, said=f"{decision.outcome} by two simulated approvers; {gates}")


def _key(walk: Walk, name: str, role: Role) -> SigningKey:
    """An approver's key, made and enrolled where it is not there yet."""
    directory = walk.workspace.directory / "keys"
    enrolled = {person.name for person in people(walk.workspace.ledger.entries()).values()}
    if name in enrolled:
        return load_key(directory, name)
    key = load_key(directory, name) if (directory / f"{name}.pem").exists() else create_key(directory, name)
    enroll(walk.workspace, key, role=role, now=now())
    return key
