"""Escalation: review tasks for people, opened by an alarm and closed by a person. Takes a trouble, yields a task.

A task that is open already is not opened twice; one that was closed opens again when its trouble comes back. Tasks are
read back from the ledger alone, so that none is lost with the database; their numbers stand there as text.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from assay.governance.enrolment import utc_text
from assay.governance.history import verified_entries
from assay.records.errors import GovernanceError, explain
from assay.records.release import ReviewTask
from assay.storage import Workspace
from assay.storage.ledger import Entry

REVIEW_OPENED = "review_opened"
REVIEW_CLOSED = "review_closed"


class ClosedReview(NamedTuple):
    """Who closed a task, with what word, in which ledger entry."""

    task: str
    by: str
    note: str
    seq: int


def open_review(
    workspace: Workspace,
    title: str,
    *,
    reason: str,
    opened_by: str,
    subject: str,
    evidence: Mapping[str, float],
    now: datetime,
) -> ReviewTask:
    """Ask a person to look at something; the task is in the ledger. Numbers that are not finite go into the reason."""
    finite = {name: float(value) for name, value in evidence.items() if math.isfinite(value)}
    broken = [f"{name} is {evidence[name]}" for name in sorted(set(evidence) - set(finite))]
    task = ReviewTask(
        title=title,
        reason="; ".join([reason, *broken]),
        opened_by=opened_by,
        subject=subject,
        evidence=finite,
        created_at=now,
    )
    if task.id not in _open_tasks(workspace):
        workspace.ledger.append(
            REVIEW_OPENED,
            id=task.id,
            title=title,
            reason=task.reason,
            opened_by=opened_by,
            subject=subject,
            evidence={name: repr(value) for name, value in finite.items()},
            at=utc_text(now),
        )
        workspace.records.put(task, subject=subject)
    return task


def open_reviews(workspace: Workspace) -> list[ReviewTask]:
    """Tasks that nobody closed, oldest first."""
    return list(_open_tasks(workspace).values())


def close_review(workspace: Workspace, review_id: str, *, by: str, note: str, now: datetime) -> ClosedReview:
    """A person's word that a task is done with. Raises GovernanceError when it is not open, or a word is missing."""
    matching = [task_id for task_id in _open_tasks(workspace) if review_id and task_id.startswith(review_id)]
    faults = [] if len(matching) == 1 else [f"{len(matching)} open tasks that start with {review_id!r}"]
    faults += ["no name"] * (not by.strip()) + ["no note"] * (not note.strip())
    if faults:
        todo = "name one open task, who closes it and what was found"
        raise GovernanceError(explain(expected="an open review, a name and a note", got="; ".join(faults), do=todo))
    entry = workspace.ledger.append(REVIEW_CLOSED, id=matching[0], by=by, note=note, at=utc_text(now))
    return ClosedReview(matching[0], by, note, entry.seq)


def _open_tasks(workspace: Workspace) -> dict[str, ReviewTask]:
    found: dict[str, ReviewTask] = {}
    for entry in verified_entries(workspace):
        event = entry.value.get("event")
        if event == REVIEW_OPENED:
            task = _task(entry)
            found[task.id] = task
        elif event == REVIEW_CLOSED:
            found.pop(str(entry.value.get("id")), None)
    return found


def _task(entry: Entry) -> ReviewTask:
    fields = {name: value for name, value in entry.value.items() if name not in ("event", "id", "at")}
    try:
        return ReviewTask.model_validate({**fields, "created_at": entry.value.get("at")})
    except ValidationError as error:
        todo = "keep the ledger as evidence; its entry was not written by this program"
        raise GovernanceError(explain(expected=f"a review in entry {entry.seq}", got=str(error), do=todo)) from error
