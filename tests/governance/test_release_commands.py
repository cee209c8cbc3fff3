"""Release and ledger commands: the whole way on the command line, and a broken chain told in one sentence."""

import json
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from governance_cases import a_policy, some_evidence
from typer.testing import CliRunner, Result

from assay.cli import ledger, release
from assay.governance import approved_decision
from assay.records.decision import ChangeRequest
from assay.records.errors import GovernanceError, LedgerError
from assay.records.policy import PolicyVersion
from assay.storage import Workspace

app = typer.Typer()
app.add_typer(release.app, name="release")
app.add_typer(ledger.app, name="ledger")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace(tmp_path / "project")
    policy = a_policy()
    opened.records.put(policy)
    opened.records.put(some_evidence(policy))
    yield opened
    opened.close()


def run(project: Workspace, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--workspace", str(project.directory)])


def run_well(project: Workspace, *words: str) -> str:
    result = run(project, *words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_a_policy_is_released_on_the_command_line(project: Workspace, tmp_path: Path) -> None:
    policy = project.records.latest(PolicyVersion)
    assert policy is not None
    assert "no change requests" in run_well(project, "release", "show")
    for name, role in (("olga", "owner"), ("anna", "approver"), ("ben", "approver")):
        assert f"{role} {name}, key" in run_well(project, "release", "enroll", name, "--role", role)
    assert stat.S_IMODE((project.directory / "keys" / "anna.pem").stat().st_mode) == 0o600
    output = run_well(project, "release", "request", policy.short_id, "--by", "rita", "--reason", "better")
    request = project.records.latest(ChangeRequest)
    assert request is not None
    assert f"change request {request.id}" in output
    assert f"next: assay release approve {request.short_id}" in output
    assert "passed verdict" in output
    assert "0 of 2 approvals" in run_well(project, "release", "show")
    for name in ("anna", "ben"):
        run_well(project, "release", "approve", request.short_id, "--as", name, "--comment", "read it")
    assert "ready for a decision" in run_well(project, "release", "show")
    output = run_well(project, "release", "decide", request.short_id, "--as", "olga")
    assert "approved: every gate passed; approved by anna, ben" in output
    decision = approved_decision(project, policy.id, now=release.now())
    assert f"decision {decision.id}" in output
    assert "approved in ledger entry 7" in run_well(project, "release", "show")
    output = run_well(project, "release", "cards", policy.short_id, "--out", str(tmp_path / "cards"))
    assert "model_card.md" in output
    assert "**Released.**" in (tmp_path / "cards" / "model_card.md").read_text()


def test_a_rejection_on_the_command_line_rejects(project: Workspace) -> None:
    policy = project.records.latest(PolicyVersion)
    assert policy is not None
    run_well(project, "release", "enroll", "olga", "--role", "owner")
    run_well(project, "release", "request", policy.short_id, "--by", "rita", "--reason", "better")
    request = project.records.latest(ChangeRequest)
    assert request is not None
    output = run_well(project, "release", "approve", request.short_id, "--as", "olga", "--reject", "--comment", "no")
    assert "rejection" in output
    assert "rejected: 'olga' rejected it" in run_well(project, "release", "decide", request.short_id, "--as", "olga")


def test_a_policy_without_evidence_cannot_be_asked_for(project: Workspace) -> None:
    bare = a_policy(name="bare")
    project.records.put(bare)
    result = run(project, "release", "request", bare.short_id, "--by", "rita", "--reason", "better")
    assert isinstance(result.exception, GovernanceError)
    assert "assay evaluate" in str(result.exception)


def test_enrolling_a_name_twice_leaves_its_key_alone(project: Workspace) -> None:
    run_well(project, "release", "enroll", "anna", "--role", "approver")
    key = (project.directory / "keys" / "anna.pem").read_bytes()
    assert isinstance(run(project, "release", "enroll", "anna", "--role", "owner").exception, GovernanceError)
    assert (project.directory / "keys" / "anna.pem").read_bytes() == key


def test_the_ledger_is_verified_shown_and_witnessed(project: Workspace, tmp_path: Path) -> None:
    run_well(project, "release", "enroll", "anna", "--role", "approver")
    project.ledger.append("other", note="[bold]x")
    assert "2 entries verified" in run_well(project, "ledger", "verify")
    assert run_well(project, "ledger", "show", "--event", "other").endswith('{"event":"other","note":"[bold]x"}\n')
    file = tmp_path / "head.json"
    assert "checkpoint of 2 entries" in run_well(project, "ledger", "checkpoint", str(file))
    assert json.loads(file.read_text()) == {"size": 2, "head": project.ledger.checkpoint().head}
    project.ledger.append("more")
    assert "3 entries verified" in run_well(project, "ledger", "verify", "--checkpoint", str(file))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET body = CAST(replace(body, 'anna', 'anne') AS BLOB) WHERE seq = 1",
        "DELETE FROM entry WHERE seq = 1",
        "DELETE FROM entry WHERE seq = 2",
    ],
)
def test_a_broken_chain_exits_non_zero_with_one_sentence(project: Workspace, tmp_path: Path, statement: str) -> None:
    run_well(project, "release", "enroll", "anna", "--role", "approver")
    project.ledger.append("other")
    run_well(project, "ledger", "checkpoint", str(tmp_path / "head.json"))
    connection = sqlite3.connect(project.ledger.path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    result = run(project, "ledger", "verify", "--checkpoint", str(tmp_path / "head.json"))
    assert result.exit_code == 1
    assert isinstance(result.exception, LedgerError)
    assert str(result.exception).startswith("expected an unbroken chain at entry ")
    assert "\n" not in str(result.exception)


def test_a_ledger_that_was_deleted_does_not_verify_as_an_empty_one(project: Workspace) -> None:
    project.ledger.path.unlink()
    result = run(project, "ledger", "verify")
    assert isinstance(result.exception, LedgerError)
    assert not project.ledger.path.exists()
