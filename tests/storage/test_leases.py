"""Leases: exact overlap under threads and processes, an end by the clock passed in, and nothing half done."""

import itertools
import multiprocessing
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from assay.records.conversation import user_prompt
from assay.records.errors import StorageError
from assay.records.judgement import Item
from assay.storage import RecordStore
from assay.storage.leases import LEASE_TIME, Leases, Work

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def leases(workspace):
    leases = Leases(workspace.records)
    leases.add("q", [Work(f"item {n}", "train") for n in range(6)], wanted=2)
    return leases


def _note(text):
    return Item(campaign="q", prompt=user_prompt(text), first="a", second="b", created_at=NOW)


def _all(leases, name, **more):
    taken = []
    while lease := leases.take("q", name, now=NOW, **more):
        taken.append(lease)
    return taken


def test_a_third_person_gets_nothing_while_two_hold_everything(leases):
    assert len(_all(leases, "ada")) == len(_all(leases, "bob")) == 6
    assert leases.take("q", "cem", now=NOW) is None
    assert leases.standing("q", "cem").total == 0


def test_nobody_gets_an_item_twice_and_each_has_an_order_of_their_own(leases):
    ada, bob = ([lease.item for lease in _all(leases, name)] for name in ("ada", "bob"))
    assert len(set(ada)) == 6
    assert ada != bob
    assert sorted(ada) == sorted(bob)


def test_a_lease_ends_by_the_clock_and_activity_renews_it(leases):
    kept, lapsed = leases.take("q", "ada", now=NOW), leases.take("q", "bob", now=NOW, item="item 0")
    assert leases.renew(kept, now=NOW + LEASE_TIME - MINUTE)
    later = NOW + LEASE_TIME + MINUTE
    assert leases.take("q", "cem", now=later) is not None
    assert [one.item for one in leases.held("q", "ada")] == [kept.item]
    assert leases.held("q", "bob") == []
    assert not leases.renew(lapsed, now=later)
    assert not leases.finish(lapsed, "answered", answer="x", rows=[(_note("lost"), None, None)])
    assert leases.records.count(Item) == 0


def test_a_lease_that_ran_out_may_be_finished_while_nobody_else_has_it(leases):
    lease = leases.take("q", "ada", now=NOW)
    assert leases.finish(lease, "answered", answer="x", rows=[(_note("kept"), None, None)])
    assert leases.records.count(Item) == 1


def test_a_release_and_a_skip_let_others_in_and_an_answer_does_not(leases):
    ada, bob = _all(leases, "ada"), _all(leases, "bob")
    leases.finish(ada[0], "answered", answer="x", rows=[])
    leases.finish(bob[0], "skipped", answer="y", rows=[])
    assert {lease.item for lease in _all(leases, "cem")} == {bob[0].item}
    assert leases.release("q", "ada") == 5
    assert len(_all(leases, "dan")) == 5
    assert ada[0].item not in {lease.item for lease in leases.held("q", "dan")}


def test_a_skip_is_taken_back_only_while_there_is_room(leases):
    ada = leases.take("q", "ada", now=NOW, item="item 1")
    leases.finish(ada, "skipped", answer="y", rows=[])
    skipped = leases.last_finished("q", "ada")
    bob = leases.take("q", "bob", now=NOW, item="item 1")
    assert leases.reopen(skipped, answer=None, rows=[], until=NOW + MINUTE)
    assert leases.take("q", "cem", now=NOW, item="item 1") is None
    leases.finish(leases.held("q", "ada")[0], "skipped", answer="y", rows=[])
    assert leases.take("q", "cem", now=NOW, item="item 1") is not None
    assert not leases.reopen(leases.last_finished("q", "ada"), answer=None, rows=[], until=NOW + MINUTE)
    assert bob.item == "item 1"


def test_a_skip_that_is_taken_back_twice_at_once_takes_one_place_alone(leases):
    lease = leases.take("q", "ada", now=NOW, item="item 0")
    leases.finish(lease, "skipped", answer="s", rows=[])
    skipped = leases.last_finished("q", "ada")
    assert leases.reopen(skipped, answer=None, rows=[], until=NOW + MINUTE)
    assert not leases.reopen(skipped, answer=None, rows=[], until=NOW + MINUTE)
    assert leases.take("q", "bob", now=NOW, item="item 0") is not None


def test_what_is_reopened_comes_before_what_is_in_hand(leases):
    first, second, third = (leases.take("q", "ada", now=NOW) for _ in range(3))
    for lease in (first, second):
        leases.finish(lease, "answered", answer="x", rows=[])
    for expected in (second, first):
        last = leases.last_finished("q", "ada")
        assert last.item == expected.item
        assert leases.reopen(last, answer="w", rows=[], until=NOW + MINUTE)
        assert leases.held("q", "ada")[0].item == expected.item
    assert [lease.item for lease in leases.held("q", "ada")] == [first.item, second.item, third.item]


def test_a_person_goes_on_behind_the_last_item_and_comes_round_to_what_was_freed(leases):
    leases.add("long", [Work(f"item {n}", "train") for n in range(20)], wanted=1)
    ada = [leases.take("long", "ada", now=NOW) for _ in range(3)]
    leases.finish(ada[0], "answered", answer="x", rows=[])
    leases.release("long", "ada")
    again = [leases.take("long", "ada", now=NOW).item for _ in range(19)]
    assert again[:2] == [ada[1].item, ada[2].item]
    assert len({*again, ada[0].item}) == 20
    assert leases.take("long", "ada", now=NOW) is None


def test_a_repeat_comes_once_for_each_item_and_fills_nothing(leases):
    for lease in _all(leases, "ada")[:3]:
        leases.finish(lease, "answered", answer="x", rows=[])
    oldest = min(leases.answers("q", f"item {n}")[0].turn for n in range(6) if leases.answers("q", f"item {n}"))
    again = leases.repeat("q", "ada", after=5, now=NOW)
    assert (again.round, leases.find("q", "ada", again.item).turn) == (1, oldest)
    assert leases.repeat("q", "ada", after=5, now=NOW) is not None
    assert leases.repeat("q", "ada", after=99, now=NOW) is None
    assert len(_all(leases, "bob")) == 6
    assert leases.standing("q", "ada").finished == 3


def test_checks_are_given_only_when_asked_for_and_to_everybody(leases):
    leases.add("q", [Work("check", "unused", is_check=True)], wanted=2)
    for name in ("ada", "bob", "cem", "dan"):
        assert leases.take("q", name, now=NOW, is_check=True).item == "check"
        assert leases.take("q", name, now=NOW, is_check=True) is None
    assert "check" not in {lease.item for lease in _all(leases, "ada")}
    assert leases.standing("q", "eve").total == 6


def test_wanting_more_people_opens_a_full_item_and_wanting_fewer_does_nothing(leases):
    for name in ("ada", "bob"):
        _all(leases, name)
    leases.want("q", "item 3", 3)
    leases.want("q", "item 4", 1)
    assert [lease.item for lease in _all(leases, "cem")] == ["item 3"]
    assert _all(leases, "dan") == []


def test_what_a_person_leaves_behind_is_free_for_others(leases):
    for lease in _all(leases, "ada")[:4]:
        leases.finish(lease, "answered", answer="x", rows=[])
    _all(leases, "bob")
    assert leases.forget("q", "ada") == 6
    assert len(_all(leases, "cem")) == 6
    assert _all(leases, "dan") == []


def test_a_record_that_cannot_be_stored_leaves_the_lease_as_it_was(leases):
    lease = leases.take("q", "ada", now=NOW)

    def full(*_):
        raise OSError("disk full")

    event.listen(leases._engine, "before_cursor_execute", lambda *a: full() if "INSERT INTO record" in a[2] else None)
    with pytest.raises(OSError, match="disk full"):
        leases.finish(lease, "answered", answer="x", rows=[(_note("half"), None, None)])
    assert leases.find("q", "ada", lease.item).state == "held"


def test_an_unreadable_database_is_told(tmp_path):
    leases = Leases(RecordStore(f"sqlite:///{tmp_path / 'assay.db'}"))
    leases.records.close()
    for file in tmp_path.glob("assay.db*"):
        file.unlink()
    (tmp_path / "assay.db").mkdir()
    with pytest.raises(StorageError, match="the leases"):
        leases.take("q", "ada", now=NOW)


_QUEUES = itertools.count()
_STEP = st.tuples(st.sampled_from("abcd"), st.sampled_from(["take", "answer", "skip", "release", "undo", "wait"]))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_STEP, max_size=30))
def test_no_order_of_steps_exceeds_the_overlap(leases, steps):
    queue, now = f"q{next(_QUEUES)}", NOW
    leases.add(queue, [Work(f"item {n}", "train") for n in range(3)], wanted=2)
    for name, step in steps:
        held = leases.held(queue, name)
        if step == "take":
            leases.take(queue, name, now=now)
        elif step in ("answer", "skip") and held:
            leases.finish(held[0], "answered" if step == "answer" else "skipped", answer="x", rows=[])
        elif step == "release":
            leases.release(queue, name)
        elif step == "undo" and (last := leases.last_finished(queue, name)):
            leases.reopen(last, answer=None, rows=[], until=now + LEASE_TIME)
        elif step == "wait":
            now += LEASE_TIME / 2
        taken = Counter(
            one.item
            for who in "abcd"
            for n in range(3)
            if (one := leases.find(queue, who, f"item {n}")) and one.state != "skipped"
        )
        assert max(taken.values(), default=0) <= 2
        assert leases.standing(queue, "newcomer").total == sum(taken[f"item {n}"] < 2 for n in range(3))


def _url(workspace):
    return workspace.records.engine.url.render_as_string(hide_password=False)


def _worker(url, name, start):
    leases = Leases(RecordStore(url))
    start.wait()
    while lease := leases.take("q", name, now=NOW):
        leases.finish(lease, "answered", answer=name, rows=[(_note(f"{name} {lease.item}"), None, name)])


def test_processes_that_race_answer_each_item_exactly_twice(workspace, leases):
    leases.add("q", [Work(f"more {n}", "train") for n in range(34)], wanted=2)
    url = _url(workspace)
    context = multiprocessing.get_context("fork")
    start = context.Event()
    workers = [context.Process(target=_worker, args=(url, f"person {n}", start)) for n in range(5)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0] * 5
    items = [f"item {n}" for n in range(6)] + [f"more {n}" for n in range(34)]
    assert {len(leases.answers("q", item)) for item in items} == {2}
    assert workspace.records.count(Item) == 80


def test_a_killed_process_loses_no_answer_and_doubles_none(workspace, leases):
    leases.add("q", [Work(f"more {n}", "train") for n in range(400)], wanted=1)
    context = multiprocessing.get_context("fork")
    start = context.Event()
    url = _url(workspace)
    worker = context.Process(target=_worker, args=(url, "ada", start))
    worker.start()
    start.set()
    for _ in range(2000):
        if workspace.records.count(Item) >= 5:
            break
        time.sleep(0.005)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    answered = leases.standing("q", "ada").finished
    assert answered >= 5
    assert workspace.records.count(Item) == answered
