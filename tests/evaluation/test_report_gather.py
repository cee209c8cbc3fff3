"""Report from a workspace: the right records around the latest evidence, by function and by command."""

import pytest
from evaluation_records import NOW
from typer.testing import CliRunner

from assay.cli.report import app
from assay.evaluation.report import report_from_workspace
from assay.evaluation.report.gather import gather
from assay.records.errors import ConfigError, StorageError
from assay.storage import Workspace


def changed(record, **fields):
    """A new record with other content; a copy would carry the old identity along."""
    return type(record).model_validate({**record.model_dump(), **fields})


@pytest.fixture
def workspace(tmp_path, evidence, dossier):
    opened = Workspace(tmp_path / "w")
    stale = changed(dossier.stages[0], run="r0")
    other = changed(dossier.change_request, evidence="another")
    request = dossier.change_request
    for record in (*reversed(dossier.policies), dossier.reward, dossier.aggregation, stale, *dossier.stages):
        opened.records.put(record)
    for record in (evidence, other, request, *dossier.approvals, dossier.decision):
        opened.records.put(record)
    opened.ledger.append("decided", outcome="rejected")
    yield opened
    opened.close()


def test_the_records_around_the_evidence_are_found(workspace, evidence, dossier):
    found = gather(workspace, evidence)
    assert [policy.name for policy in found.policies] == ["guarded", "unguarded"]
    assert found.reward == dossier.reward
    assert found.change_request == dossier.change_request
    assert found.approvals == dossier.approvals
    assert found.decision == dossier.decision
    assert [stage.run for stage in found.stages] == ["r1"] * 3
    assert found.ledger_checkpoint == workspace.ledger.checkpoint()


def test_the_reward_that_was_optimised_is_shown_and_not_one_that_only_watched(workspace, evidence, dossier):
    watched = dossier.reward.identity.model_copy(update={"name": "watch-panel", "content_hash": "c" * 64})
    workspace.records.put(changed(dossier.reward, name="watch-panel", identity=watched))
    policy = dossier.policies[0]
    both = changed(policy, training_signals=(*policy.training_signals, watched))
    workspace.records.put(both)
    training = (*evidence.firewall.training, watched)
    firewall = evidence.firewall.model_copy(update={"training": training})
    later = changed(evidence, policy=both.id, firewall=firewall)
    assert gather(workspace, later).reward == dossier.reward


def test_a_reward_that_did_not_train_is_not_shown(workspace, evidence):
    firewall = evidence.firewall.model_copy(update={"training": ()})
    assert gather(workspace, evidence.model_copy(update={"firewall": firewall})).reward is None


def test_the_latest_evidence_is_reported_or_the_one_named(workspace, evidence, tmp_path):
    newer = changed(evidence, verdict="HOLD", reason="Newer word.", created_at=NOW)
    workspace.records.put(newer)
    latest = report_from_workspace(workspace, tmp_path / "a.html").read_text(encoding="utf-8")
    named = report_from_workspace(workspace, tmp_path / "b.html", evidence_id=evidence.id[:16])
    assert "Newer word." in latest
    assert "Newer word." not in named.read_text(encoding="utf-8")
    assert workspace.ledger.checkpoint().head in latest


def test_an_empty_workspace_says_what_to_do(tmp_path):
    opened = Workspace(tmp_path / "empty")
    with pytest.raises(StorageError, match="expected evidence in this workspace; got none"):
        report_from_workspace(opened, tmp_path / "x.html")
    opened.close()


def test_the_command_writes_the_page_and_names_it(workspace, tmp_path):
    out = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["--workspace", str(workspace.directory), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "page.html" in result.output
    assert "Assay report on guarded" in out.read_text(encoding="utf-8")
    assert isinstance(CliRunner().invoke(app, ["-w", str(tmp_path / "none")]).exception, ConfigError)
