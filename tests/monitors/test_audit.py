"""Audit: a policy kept from after an ending alarm is named, and a run that nobody watched is replayed."""

import pytest
from simulated_runs import NOW, clean_run

from assay.monitors import MonitorBank, audit_policy, build_monitors, default_monitors
from assay.records.observation import Alarm
from assay.records.policy import CheckpointRecord, PolicyVersion
from assay.records.provenance import Provenance


def alarm(step, action="roll_back_to_checkpoint"):
    return Alarm(created_at=NOW, monitor="repetition", step=step, message="m", action=action, value=0.9, threshold=0.1)


def policy(*, step, alarms=(), run=(), monitors=("repetition",)):
    return PolicyVersion(
        created_at=NOW,
        name="p",
        base_model="tiny",
        adapter=None,
        ref_policy=None,
        method="online_dpo",
        step=step,
        steps_run=12,
        checkpoints=[CheckpointRecord(step=seen.step, adapter=None, observation=seen) for seen in run],
        alarms=alarms,
        monitors=monitors,
        provenance=Provenance(seed=0, data_hash="d", code_version="c", config_hash="h"),
    )


@pytest.mark.parametrize(("kept", "is_clean"), [(4, True), (5, False), (6, False)])
def test_a_policy_must_come_from_before_the_alarm(kept, is_clean):
    audit = audit_policy(policy(step=kept, alarms=[alarm(5)]), MonitorBank([]), now=NOW)
    assert audit.is_clean == is_clean
    assert not audit.is_replayed


def test_an_alarm_that_does_not_end_a_run_may_be_passed():
    alarms = [alarm(2, "ask_a_person"), alarm(3, "raise_kl_coef")]
    audit = audit_policy(policy(step=9, alarms=alarms), MonitorBank([]), now=NOW)
    assert audit.is_clean
    assert len(audit.alarms) == 2


def test_an_unwatched_run_is_shown_to_the_monitors_afterwards():
    hacked = clean_run(1, repetition=lambda progress: 0.06 + 0.4 * progress)
    unwatched = policy(step=11, run=hacked, monitors=())
    audit = audit_policy(unwatched, MonitorBank(build_monitors({"repetition": {}})), now=NOW)
    assert audit.is_replayed
    assert {ignored.monitor for ignored in audit.ignored} == {"repetition"}
    healthy = policy(step=11, run=clean_run(1), monitors=())
    assert audit_policy(healthy, MonitorBank(default_monitors()), now=NOW).is_clean
