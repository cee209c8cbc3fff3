"""Levels: what lies above a person's limit never comes, the order of the rest stays, and what is open is counted."""

import itertools
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from assay.storage.leases import LEASE_TIME, Leases, Work

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEVEL = {f"item {n}": n % 3 for n in range(12)}
"""Four items at each level."""


@pytest.fixture
def leases(workspace):
    leases = Leases(workspace.records)
    leases.add("q", [Work(item, "train", level=level) for item, level in LEVEL.items()], wanted=2)
    return leases


def _all(leases, name, **more):
    taken = []
    while lease := leases.take("q", name, now=NOW, **more):
        taken.append(lease.item)
    return taken


def _ring(leases, limit):
    return [one.item for one in leases.ahead("q", "bob", most=12, limit=limit)]


def test_what_lies_above_a_limit_does_not_come_and_the_order_of_the_rest_stays(leases):
    everything = _ring(leases, None)
    assert sorted(everything) == sorted(LEVEL)
    for limit in (0, 1, 2):
        within = [item for item in everything if LEVEL[item] <= limit]
        assert _ring(leases, limit) == within
        assert leases.ahead("q", "bob", most=3, limit=limit) == leases.ahead("q", "bob", most=12, limit=limit)[:3]
        assert _all(leases, "bob", limit=limit) == within
        leases.forget("q", "bob")


def test_the_next_ones_within_a_limit_know_who_has_them(leases):
    (item,) = _all(leases, "ada", limit=0)[:1]
    found = {one.item: one for one in leases.ahead("q", "bob", most=12, limit=1)}
    assert (found[item].wanted, found[item].people) == (2, ("ada",))
    assert len(found) == 8


def test_a_queue_that_nobody_marked_knows_no_levels_and_a_limit_takes_nothing_away(leases):
    leases.add("plain", [Work(f"item {n}", "train") for n in range(3)], wanted=1)
    assert leases.has_levels("q") and not leases.has_levels("plain")
    assert leases.take("plain", "ada", now=NOW, limit=0) is not None
    assert leases.standing("plain", "ada", limit=0) == (0, 3)
    assert len(leases.ahead("plain", "ada", most=9, limit=0)) == 2
    assert leases.release_above("plain", "ada", limit=0) == 0


def test_a_queue_that_gains_levels_keeps_what_it_held_at_level_0_as_full_as_it_is(leases):
    leases.add("grown", [Work("old", "train"), Work("full", "train"), Work("check", "unused", True)], wanted=1)
    leases.take("grown", "ada", now=NOW, item="full")
    leases.add("grown", [Work("new", "train", level=2), Work("bad check", "unused", True, 2)], wanted=1)
    leases.add("grown", [Work("late", "train")], wanted=1)
    assert {one.item for one in leases.ahead("grown", "bob", most=9, limit=0)} == {"old", "late"}
    assert leases.standing("grown", "bob", limit=0).total == 2
    assert leases.standing("grown", "bob", limit=2) == leases.standing("grown", "bob") == (0, 3)
    assert leases.take("grown", "bob", now=NOW, is_check=True, limit=1).item == "check"
    assert leases.take("grown", "bob", now=NOW, is_check=True, limit=1) is None
    leases.release("grown", "ada")
    assert leases.standing("grown", "bob", limit=0).total == 3


def test_an_item_that_is_added_again_stays_at_its_level_and_is_counted_once(leases):
    assert leases.add("q", [Work("item 2", "train", level=0), Work("more", "train", level=1)], wanted=2) == 1
    assert leases.standing("q", "ada", limit=0).total == 4
    assert leases.standing("q", "ada", limit=1).total == 9


def test_what_is_held_above_a_limit_is_given_back_and_nothing_else(leases):
    _all(leases, "ada")
    done = leases.find("q", "ada", "item 2")  # at level 2
    leases.finish(done, "answered", answer="x", rows=[])
    assert leases.release_above("q", "ada", limit=1) == 3
    assert {LEVEL[one.item] for one in leases.held("q", "ada")} == {0, 1}
    assert leases.release_above("q", "ada", limit=1) == 0
    assert leases.standing("q", "ada", limit=1) == (1, 9)  # what was answered counts whatever its level
    assert leases.standing("q", "bob").total == 12


def test_a_repeat_keeps_to_the_limit(leases):
    for item in _all(leases, "ada"):
        leases.finish(leases.find("q", "ada", item), "answered", answer="x", rows=[])
    again = []
    while lease := leases.repeat("q", "ada", after=1, now=NOW, limit=0):
        again.append(lease.item)
    assert 3 <= len(again) <= 4 and {LEVEL[item] for item in again} == {0}
    assert LEVEL[leases.repeat("q", "ada", after=1, now=NOW).item] > 0


def test_more_people_wanted_open_an_item_within_its_level_too(leases):
    for name in ("ada", "bob"):
        _all(leases, name)
    assert leases.standing("q", "cem", limit=1).total == 0
    leases.want("q", "item 1", 3)
    assert leases.standing("q", "cem", limit=1).total == 1
    assert leases.standing("q", "cem", limit=0).total == 0
    assert _all(leases, "cem", limit=1) == ["item 1"]


def test_the_next_item_within_a_limit_is_read_off_an_index_and_not_looked_for(leases):
    plans = []

    def explain(connection, cursor, statement, parameters, *_):
        if "FROM work_level" in statement and "ORDER BY" in statement:
            found = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.append([row[3] for row in found])

    if leases.records.engine.dialect.name != "sqlite":
        pytest.skip("this is how SQLite tells its plans")
    event.listen(leases.records.engine, "before_cursor_execute", explain)
    leases.take("q", "ada", now=NOW, limit=0)
    assert plans
    for plan in plans:
        (step,) = [one for one in plan if "SEARCH work_level" in one]
        assert "level_in_order (queue=? AND is_check=? AND level=? AND is_full=? AND place" in step
        assert not any("SCAN" in one and "CONSTANT ROW" not in one or "TEMP B-TREE" in one for one in plan)


_QUEUES = itertools.count()
_STEPS = ["take", "answer", "skip", "release", "undo", "wait", "refuse", "allow", "want"]
_STEP = st.tuples(st.sampled_from("abc"), st.sampled_from(_STEPS), st.integers(0, 2))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_STEP, max_size=40))
def test_no_order_of_steps_brings_what_is_above_a_limit_exceeds_the_overlap_or_miscounts(leases, steps):
    queue, now = f"q{next(_QUEUES)}", NOW
    level = {f"item {n}": n % 3 for n in range(5)}
    wanted = dict.fromkeys(level, 2)
    leases.add(queue, [Work(item, "train", level=of) for item, of in level.items()], wanted=2)
    limits = dict.fromkeys("abc")
    for name, step, number in steps:
        if step == "take":
            lease = leases.take(queue, name, now=now, limit=limits[name])
            assert lease is None or limits[name] is None or level[lease.item] <= limits[name]
        elif step == "wait":
            now += LEASE_TIME / 2
        elif step == "allow":
            limits[name] = None
        elif step == "refuse":
            limits[name] = number
            leases.release_above(queue, name, limit=number)
        elif step == "want":
            wanted[f"item {number}"] = 3
            leases.want(queue, f"item {number}", 3)
        else:
            _end(leases, queue, name, step, now=now, limit=limits[name])
        _check(leases, queue, level, wanted, limits)


def _end(leases, queue, name, step, *, now, limit):
    held, last = leases.held(queue, name), leases.last_finished(queue, name)
    if step in ("answer", "skip") and held:
        leases.finish(held[0], "answered" if step == "answer" else "skipped", answer="x", rows=[])
    elif step == "release":
        leases.release(queue, name)
    elif step == "undo" and last:
        leases.reopen(last, answer=None, rows=[], until=now + LEASE_TIME)
        if limit is not None:
            leases.release_above(queue, name, limit=limit)


def _check(leases, queue, level, wanted, limits):
    mine = {(who, one): leases.find(queue, who, one) for who in limits for one in level}
    taken = Counter(one for (_, one), lease in mine.items() if lease and lease.state != "skipped")
    assert all(taken[one] <= wanted[one] for one in level)
    for who, limit in limits.items():
        within = [one for one in level if limit is None or level[one] <= limit]
        states = {one: mine[who, one].state if mine[who, one] else None for one in level}
        assert all(one in within for one in level if states[one] == "held")
        answered = sum(state == "answered" for state in states.values())
        there = sum(states[one] == "held" or (states[one] is None and taken[one] < wanted[one]) for one in within)
        assert leases.standing(queue, who, limit=limit) == (answered, answered + there)
