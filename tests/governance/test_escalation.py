"""Escalation: a task is open until a person closes it, and opens again when the trouble comes back."""

import pytest
from governance_cases import LATER, NOW, Office

from assay.governance import close_review, open_review, open_reviews
from assay.records.errors import GovernanceError
from assay.records.release import ReviewTask


def ask(office: Office, *, reason: str = "refusals rose", now=NOW, **evidence: float) -> ReviewTask:
    return open_review(
        office.workspace,
        "look at the candidate",
        reason=reason,
        opened_by="drift monitor",
        subject="release-1",
        evidence=evidence,
        now=now,
    )


def test_an_opened_review_is_listed_with_its_numbers_to_the_last_digit(office: Office) -> None:
    first, second = ask(office, rate=0.1 + 0.2), ask(office, reason="other")
    assert open_reviews(office.workspace) == [first, second]
    assert open_reviews(office.workspace)[0].evidence == {"rate": 0.30000000000000004}
    assert office.workspace.records.get(ReviewTask, first.id) == first


def test_the_same_trouble_is_one_task_while_open_and_a_new_one_after_it_was_closed(office: Office) -> None:
    task = ask(office)
    ask(office, now=LATER)
    assert len(office.workspace.ledger.entries("review_opened")) == 1
    closed = close_review(office.workspace, task.short_id, by="anna", note="a known bug", now=LATER)
    assert (closed.task, closed.by) == (task.id, "anna")
    assert open_reviews(office.workspace) == []
    again = ask(office, now=LATER)
    assert [one.id for one in open_reviews(office.workspace)] == [again.id]


def test_numbers_that_are_not_finite_become_part_of_the_reason(office: Office) -> None:
    task = ask(office, kl=float("nan"), rate=0.5, win=float("inf"))
    assert task.evidence == {"rate": 0.5}
    assert task.reason == "refusals rose; kl is nan; win is inf"
    assert open_reviews(office.workspace) == [task]


def test_closing_needs_an_open_task_a_name_and_a_note(office: Office) -> None:
    task = ask(office)
    with pytest.raises(GovernanceError, match="0 open tasks.*no name; no note"):
        close_review(office.workspace, "ffff", by=" ", note="", now=LATER)
    with pytest.raises(GovernanceError, match="0 open tasks"):
        close_review(office.workspace, "", by="anna", note="n", now=LATER)
    close_review(office.workspace, task.id, by="anna", note="n", now=LATER)
    with pytest.raises(GovernanceError, match="0 open tasks"):
        close_review(office.workspace, task.id, by="ben", note="n", now=LATER)


def test_a_review_entry_that_this_program_did_not_write_is_a_clear_error(office: Office) -> None:
    office.workspace.ledger.append("review_opened", id="x", title="no time, no reason")
    with pytest.raises(GovernanceError, match="a review in entry 4"):
        open_reviews(office.workspace)
