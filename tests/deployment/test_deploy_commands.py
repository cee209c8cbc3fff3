"""Deploy commands: each says what it made and what comes next; raising needs a decision, lowering does not."""

from importlib.resources import files

import pytest
from deployment_parts import policy_named
from typer.testing import CliRunner

from assay.cli import deploy
from assay.deployment import Rollout, flag_client, load_layers, may_serve_candidate
from assay.records.errors import AssayError, GovernanceError
from assay.records.release import Release


@pytest.fixture
def run(workspace):
    def run(*words):
        result = CliRunner().invoke(deploy.app, [*words, "--workspace", str(workspace.directory)])
        if isinstance(result.exception, AssayError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    return run


def test_a_line_starts_from_the_reference_and_opens_the_switch(run, workspace, now):
    policy = policy_named(workspace, "base", now, method="reference")
    output = run("start", policy.short_id)
    assert f"serving release {Rollout(workspace).status.stable} next: assay deploy serve" in output
    assert may_serve_candidate(flag_client(workspace.directory / "flags.json"))
    assert f"stable {Rollout(workspace).status.stable}" in run("status")


def test_proposing_without_a_decision_is_refused(run, workspace, now):
    run("start", policy_named(workspace, "base", now, method="reference").id)
    with pytest.raises(GovernanceError, match="approved decision"):
        run("propose", policy_named(workspace, "tuned", now).id, "--share", "5")
    assert Rollout(workspace).status.candidate is None


def test_an_operator_lowers_and_rolls_back_without_anybody(run, line, now):
    line.rollout.start(line.reference, now=now)
    line.decisions.approved.add(line.tuned.policy)
    line.rollout.propose(line.tuned, share_percent=40, now=now)
    assert "state held, candidate at 40 %: odd [numbers]" in run("hold", "--reason", "odd [numbers]")
    assert "candidate at 10 %" in run("shrink", "--to", "10")
    assert "state aborted" in run("abort")
    line.rollout.propose(line.tuned, share_percent=40, now=now)
    line.rollout.promote(now=now)
    assert f"stable {line.reference.id} next: assay deploy status" in run("rollback", "--reason", "worse")
    for raising in (("resume",), ("share", "50"), ("promote",)):
        with pytest.raises(AssayError):
            run(*raising)


def test_the_switch_turns_both_ways(run, line, now):
    line.rollout.start(line.reference, now=now)
    client = flag_client(line.workspace.directory / "flags.json")
    assert "candidate may answer" in run("switch", "--on") and may_serve_candidate(client)
    assert "stable only" in run("switch", "--off") and not may_serve_candidate(client)
    assert line.events()[-2:] == ["switched_on", "switched_off"]


def test_a_release_made_by_a_command_carries_the_workspaces_own_layers(run, workspace, now):
    text = (files("assay.deployment.layers") / "default_layers.yaml").read_text()
    (workspace.directory / "layers.yaml").write_text(text.replace("room_for_answer: 16", "room_for_answer: 32"))
    run("start", policy_named(workspace, "base", now, method="reference").id)
    release = workspace.records.latest(Release)
    assert release.layers_digest != load_layers().digest
