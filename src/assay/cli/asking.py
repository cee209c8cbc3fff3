"""Asking: opens a review task for each alarm of a policy that asks for a person. Takes alarms, yields the new tasks."""

from collections.abc import Sequence

from assay.cli.context import now
from assay.governance import open_review
from assay.records.observation import Alarm
from assay.records.policy import PolicyVersion
from assay.records.release import ReviewTask
from assay.storage import Workspace


def ask_people(workspace: Workspace, policy: PolicyVersion, alarms: Sequence[Alarm]) -> list[ReviewTask]:
    """Open the tasks that were never opened; one that a person closed stays closed, for the alarm is no new one."""
    asked = {task.title for task in workspace.records.all(ReviewTask, subject=policy.id)}
    opened = []
    for alarm in alarms:
        title = f"look at {policy.name} ({policy.short_id}): {alarm.monitor} rang at step {alarm.step}"
        if alarm.action != "ask_a_person" or title in asked:
            continue
        asked.add(title)
        task = open_review(
            workspace,
            title,
            reason=alarm.message,
            opened_by=f"monitor {alarm.monitor}",
            subject=policy.id,
            evidence=alarm.evidence,
            now=now(),
        )
        opened.append(task)
    return opened
