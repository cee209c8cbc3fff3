"""Monitor commands: the audit's exit code says whether an alarm was ignored."""

import pytest
from simulated_runs import NOW, clean_run
from typer.testing import CliRunner

from assay.cli.monitor import app
from assay.monitors import MonitorBank, default_monitors
from assay.records.policy import CheckpointRecord, PolicyVersion
from assay.records.provenance import Provenance


@pytest.fixture
def hacked(workspace):
    """Stores a policy of a run that a planted hack ruined, kept at the step asked for; gives its short id."""
    run = clean_run(1, repetition=lambda progress: 0.06 + 0.4 * progress)
    bank = MonitorBank(default_monitors())
    alarms = [alarm for seen in run for alarm in bank.observe(seen, NOW)]

    def store(step, *, is_watched=True):
        policy = PolicyVersion(
            created_at=NOW,
            name="online-1",
            base_model="tiny",
            adapter=None,
            ref_policy=None,
            method="online_dpo",
            step=step,
            steps_run=11,
            checkpoints=[CheckpointRecord(step=seen.step, adapter=None, observation=seen) for seen in run],
            alarms=alarms if is_watched else (),
            monitors=bank.names if is_watched else (),
            stop_reason="repetition rang",
            provenance=Provenance(seed=0, data_hash="d", code_version="c", config_hash="h"),
        )
        return workspace.records.put(policy)[:12]

    return store, alarms[0].step


def invoke(command, policy, workspace):
    return CliRunner().invoke(app, [command, policy, "-w", str(workspace.directory)])


def test_audit_passes_a_policy_from_before_the_alarm_and_fails_one_from_after(hacked, workspace):
    store, rang_at = hacked
    before = invoke("audit", store(rang_at - 1), workspace)
    assert before.exit_code == 0
    assert "none of them ignored" in before.stdout
    after = invoke("audit", store(rang_at), workspace)
    assert after.exit_code == 1
    assert f"step {rang_at}: repetition (roll back to checkpoint)" in after.stdout
    assert "ignored" in after.stdout


def test_audit_replays_a_run_that_nobody_watched(hacked, workspace):
    store, _ = hacked
    result = invoke("audit", store(11, is_watched=False), workspace)
    assert result.exit_code == 1
    assert "no monitor watched this run" in result.stdout


def test_show_prints_every_checkpoint_and_marks_the_kept_one(hacked, workspace):
    store, rang_at = hacked
    result = invoke("show", store(rang_at - 1), workspace)
    assert result.exit_code == 0
    assert f"*{rang_at - 1} " in result.stdout
    assert result.stdout.count("│") >= 10 * 12
    assert "assay monitor audit" in result.stdout
