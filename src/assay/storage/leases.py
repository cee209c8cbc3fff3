"""Leases: who works on which item of a queue until when; takes items and a clock, yields exact overlap.

An item that `wanted` people shall answer is leased to that many at most, counting those who have answered. Every step
is one transaction that first holds the queue's write lock (SQLite: `BEGIN IMMEDIATE`; PostgreSQL: an advisory lock by
queue), so two browsers, threads or processes never get one lease too many. A lease that nobody renews ends by the clock
that is passed in. An answer and the end of its lease are one transaction: a killed process leaves both or neither.
Items may have levels; `limit` is the highest that a person takes, None: all (`storage.levels`).

Catches: a double take, an answer without a lease, a lease that ran out and was given to somebody else. Does not catch:
one person under two names.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Select, bindparam, select
from sqlalchemy.sql.dml import ReturningDelete

from assay.records.record import Record
from assay.storage import lease_queries as queries
from assay.storage import levels
from assay.storage.database import RECORDS_LOCK, RecordStore
from assay.storage.dialect import hold, insert_absent, number_of, storage_errors, writing
from assay.storage.lease_tables import tally_table, work_table
from assay.storage.record_tables import record_table
from assay.storage.statements import read, run

LeaseState = Literal["held", "answered", "skipped"]
Stored = tuple[Record, str | None, str | None]

LEASE_TIME = timedelta(minutes=30)
_BATCH = 500


class Work(NamedTuple):
    """An item for a queue: its identity, the split of its prompt, and whether it checks people instead of the item.

    `level` counts from 0; people may say up to which they take items.
    """

    item: str
    split: str
    is_check: bool = False
    level: int = 0


class Lease(NamedTuple):
    """One person's hold on one item; `round` 1 is a repeat, `turn` counts what the person was given."""

    queue: str
    annotator: str
    item: str
    round: int
    state: LeaseState
    turn: int
    answer: str | None

    @property
    def key(self) -> dict[str, Any]:
        """What finds it, as `storage.lease_queries` names it."""
        return {"q": self.queue, "who": self.annotator, "what": self.item, "nth": self.round}

    @property
    def as_found(self) -> dict[str, Any]:
        """What finds it only while nobody has changed it since."""
        return {**self.key, "was": self.state, "said_before": self.answer}


class Waiting(NamedTuple):
    """An item that a person could get next: how many people shall answer it, and who holds or answered it."""

    item: str
    wanted: int | None
    people: tuple[str, ...]


class Standing(NamedTuple):
    """How far one person is: items finished, and items that they may finish in all."""

    finished: int
    total: int


class Leases:
    """The queues of one record store. Raises StorageError when the database cannot be read or written."""

    def __init__(self, records: RecordStore) -> None:
        self.records = records
        self._engine = records.engine  # the same room, the same database: answer and lease end in one transaction

    def add(self, queue: str, works: Iterable[Work], *, wanted: int | None) -> int:
        """Put items into a queue and return how many were new; `wanted` people may answer each, None: everybody."""
        rows = [
            {"queue": queue, "item": work.item, "split": work.split, "place": number_of(queue, work.item), "taken": 0}
            | {"wanted": None if work.is_check else wanted, "is_full": False, "is_check": work.is_check}
            | {"level": work.level}
            for work in works
        ]
        return sum(
            self._add(queue, [row for row in rows if row["is_check"] is is_check][start : start + _BATCH], is_check)
            for is_check in (False, True)
            for start in range(0, len(rows), _BATCH)
        )

    def _add(self, queue: str, rows: Sequence[dict[str, Any]], is_check: bool) -> int:
        if not rows:
            return 0
        works = [{name: value for name, value in row.items() if name != "level"} for row in rows]
        with self._writing(queue) as connection:
            are_levelled = levels.prepare_levels(connection, queue, rows)
            added = insert_absent(connection, work_table, works)
            insert_absent(connection, tally_table, [{"queue": queue, "items": 0, "full": 0}])
            if not is_check:
                run(connection, queries.MORE_ITEMS, {"q": queue, "by": added})
            if are_levelled:
                levels.add_levels(connection, queue, rows, is_check=is_check)
        return added

    def has_levels(self, queue: str) -> bool:
        """Whether a queue holds items of different levels."""
        return bool(self._read(queries.LEVELS, q=queue))

    def split_of(self, queue: str, item: str) -> str | None:
        """The split of an item's prompt, or None where the queue does not hold the item."""
        rows = self._read(queries.WORK, q=queue, what=item)
        return rows[0].split if rows else None

    def held(self, queue: str, annotator: str) -> list[Lease]:
        """What this person holds, in the order it was given; also what ran out and nobody else asked for."""
        return [_lease(row) for row in self._read(queries.HELD, q=queue, who=annotator)]

    def take(
        self,
        queue: str,
        annotator: str,
        *,
        now: datetime,
        is_check: bool = False,
        item: str | None = None,
        limit: int | None = None,
        lasts: timedelta = LEASE_TIME,
    ) -> Lease | None:
        """Lease the next open item that this person has not met, or None; `item` asks for that one whatever its level.

        `is_check` asks for a checking item. The order is a ring that each person enters at a place of their own.
        """
        wish = {"q": queue, "who": annotator, "is_check": is_check}
        wish |= {"own_place": number_of(queue, annotator)} if item is None else {"what": item}
        with self._writing(queue) as connection:
            _free(connection, queries.FREE_ENDED, {"q": queue, "at": now.timestamp()})
            if item is not None:
                found = run(connection, queries.OPEN_THIS, wish).value
            else:
                found = next(iter(_next(connection, wish, most=1, limit=limit)), None)
            end = now + lasts
            return None if found is None else _give(connection, queue, annotator, found, is_check=is_check, until=end)

    def ahead(self, queue: str, annotator: str, *, most: int, limit: int | None = None) -> list[Waiting]:
        """The next open items that this person has not met, in the order in which they would come."""
        wish = {"q": queue, "who": annotator, "is_check": False, "own_place": number_of(queue, annotator)}
        with storage_errors("the leases"), self._engine.connect() as connection:
            items = _next(connection, wish, most=most, limit=limit)
        people: dict[str, list[str]] = {item: [] for item in items}
        for row in self._read(queries.PEOPLE, q=queue, items=items):
            people[row.item].append(row.annotator)
        wanted: dict[str, int | None] = {
            row.item: row.wanted for row in self._read(queries.WANTED, q=queue, items=items)
        }
        return [Waiting(item, wanted[item], tuple(sorted(people[item]))) for item in items]

    def repeat(
        self,
        queue: str,
        annotator: str,
        *,
        after: int,
        now: datetime,
        limit: int | None = None,
        lasts: timedelta = LEASE_TIME,
    ) -> Lease | None:
        """Lease once more the oldest item that this person answered at least `after` turns ago, each item once."""
        with self._writing(queue) as connection:
            _free(connection, queries.FREE_ENDED, {"q": queue, "at": now.timestamp()})
            wish = {"q": queue, "who": annotator, "after": after, "limit": _NO_LIMIT if limit is None else limit}
            item = run(connection, queries.REPEATABLE, wish).value
            return None if item is None else _give(connection, queue, annotator, item, round_=1, until=now + lasts)

    def renew(self, lease: Lease, *, now: datetime, lasts: timedelta = LEASE_TIME) -> bool:
        """Hold on for longer; False where somebody else has the item meanwhile."""
        with self._writing(lease.queue) as connection:
            return run(connection, queries.RENEW, {**lease.key, "end": (now + lasts).timestamp()}).matched == 1

    def recent(self, queue: str, annotator: str, *, most: int) -> list[Lease]:
        """What this person was given last, the latest first, whatever became of it."""
        return [_lease(row) for row in self._read(queries.RECENT, q=queue, who=annotator, most=most)]

    def release_above(self, queue: str, annotator: str, *, limit: int) -> int:
        """Give back what this person holds above a level; returns how many items others may have."""
        wish = {"q": queue, "who": annotator, "limit": limit}
        if not self._read(queries.HELD_ABOVE, **wish):
            return 0
        with self._writing(queue) as connection:
            return _free(connection, queries.FREE_ABOVE, wish)

    def release(self, queue: str, annotator: str) -> int:
        """Give back all that this person holds; returns how many items others may have."""
        with self._writing(queue) as connection:
            return _free(connection, queries.FREE_HELD, {"q": queue, "who": annotator})

    def forget(self, queue: str, annotator: str) -> int:
        """Drop all that this person holds, answered or passed over; returns how many leases."""
        with self._writing(queue) as connection:
            return _free(connection, queries.FREE_ALL, {"q": queue, "who": annotator})

    def find(self, queue: str, annotator: str, item: str, *, round: int = 0) -> Lease | None:  # noqa: A002
        """This person's lease of an item, whatever its state."""
        rows = self._read(queries.FIND, q=queue, who=annotator, what=item, nth=round)
        return _lease(rows[0]) if rows else None

    def finish(self, lease: Lease, state: LeaseState, *, answer: str, rows: Sequence[Stored]) -> bool:
        """Store what was said and end the lease, both or neither. False, with nothing stored, where it has changed.

        An answer may be finished again (it was corrected); a skip frees the item for somebody else.
        """
        with self._writing(lease.queue) as connection:
            change = {**lease.as_found, "becomes": state, "said": answer}
            if run(connection, queries.FINISH, change).matched != 1:
                return False
            if state == "skipped" and lease.round == 0:
                _count(connection, lease.queue, lease.item, by=-1)
            self._store(connection, rows)
            return True

    def last_finished(self, queue: str, annotator: str) -> Lease | None:
        """What this person finished last and has not taken back."""
        return next((_lease(row) for row in self._read(queries.LAST_FINISHED, q=queue, who=annotator)), None)

    def reopen(self, lease: Lease, *, answer: str | None, rows: Sequence[Stored], until: datetime) -> bool:
        """Take back the end of a lease: its item comes next again. False where others have filled a skipped item.

        `answer` is what the next answer will supersede.
        """
        with self._writing(lease.queue) as connection:
            gave_up = lease.state == "skipped" and lease.round == 0  # a skip gave its place to others
            if gave_up and run(connection, queries.WORK, lease.key).first.is_full:
                return False
            change = {**lease.as_found, "said": answer, "end": until.timestamp()}
            if run(connection, queries.REOPEN, change).matched != 1:
                return False
            if gave_up:
                _count(connection, lease.queue, lease.item, by=1)
            self._store(connection, rows)
            return True

    def want(self, queue: str, item: str, wanted: int) -> None:
        """Let so many people answer one item, as when those who did disagree. Only ever raises the number."""
        here = {"q": queue, "what": item}
        with self._writing(queue) as connection:
            row = run(connection, queries.WORK, here).first
            if row is None or row.wanted is None or row.wanted >= wanted:
                return
            run(connection, queries.WANT, {**here, "more": wanted})
            _tally(connection, queue, item, by=int(row.taken >= wanted) - int(row.is_full))

    def answers(self, queue: str, item: str) -> list[Lease]:
        """Answered leases of one item in its first round, by annotator."""
        answered = [_lease(row) for row in self._read(queries.ANSWERS, q=queue, what=item)]
        return sorted(answered, key=lambda lease: lease.annotator)

    def answers_on(self, queue: str, items: Sequence[str]) -> list[Lease]:
        """The same of several items, by item and annotator."""
        return [_lease(row) for row in self._read(queries.ANSWERS_ON, q=queue, items=list(items))]

    def wanted(self, queue: str, item: str) -> int | None:
        """How many people shall answer an item; None: as many as come."""
        rows = self._read(queries.WORK, q=queue, what=item)
        return rows[0].wanted if rows else None

    def standing(self, queue: str, annotator: str, *, limit: int | None = None) -> Standing:
        """How far a person has come; what others have filled does not count for them, nor what lies above their limit.

        What they finished counts in any case.
        """
        mine = self._read(queries.STANDING, q=queue, who=annotator)
        finished = sum(count for state, _, count in mine if state == "answered")
        if limit is None or not self.has_levels(queue):
            opened = int(next(iter(self._read(queries.OPEN_ITEMS, q=queue)), [0])[0])
        else:
            mine = self._read(queries.STANDING_WITHIN, q=queue, who=annotator, limit=limit)
            opened = int(self._read(queries.OPEN_WITHIN, q=queue, limit=limit)[0][0] or 0)
        unmet = opened - sum(count for _, is_full, count in mine if not is_full)
        return Standing(finished, finished + sum(count for state, _, count in mine if state == "held") + unmet)

    def items(self, queue: str) -> int:
        """How many items a queue holds, checks not counted."""
        rows = self._read(queries.ITEMS, q=queue)
        return int(rows[0][0]) if rows else 0

    def turns(self, queue: str, annotator: str) -> int:
        """How many items this person was given so far."""
        return int(self._read(queries.TURNS, q=queue, who=annotator)[0][0])

    def is_known(self, kind: str, identity: str) -> bool:
        """Whether there is a record of this kind and identity."""
        return bool(self._read(_KNOWN, kind=kind, identity=identity))

    def _read(self, query: Select[Any], **values: object) -> Sequence[Any]:
        with storage_errors("the leases"):
            return read(self._engine, query, values)

    def _store(self, connection: Connection, rows: Sequence[Stored]) -> None:
        if len(rows) > 1:
            hold(connection, RECORDS_LOCK, is_shared=True)
        insert_absent(connection, record_table, [self.records.row_of(*row) for row in rows])

    @contextmanager
    def _writing(self, queue: str) -> Iterator[Connection]:
        with storage_errors("the leases"), writing(self._engine, number_of("lock", queue)) as connection:
            yield connection


_NO_LIMIT = 2**31 - 1
_KNOWN = select(record_table.c.seq).where(
    record_table.c.kind == bindparam("kind"), record_table.c.id == bindparam("identity")
)


def _next(connection: Connection, wish: Mapping[str, Any], *, most: int, limit: int | None) -> list[str]:
    """The next open items of a person, on from where they are on the ring and then from its beginning."""
    if limit is not None and levels.has_levels(connection, wish["q"]):
        return levels.next_within(connection, wish, limit=limit, most=most)
    found: list[str] = []
    for query in (queries.RING_FROM, queries.RING_BEFORE):
        if len(found) < most:
            found += [row.item for row in run(connection, query, {**wish, "most": most - len(found)}).rows]
    return found


def _give(
    connection: Connection,
    queue: str,
    annotator: str,
    item: str,
    *,
    until: datetime,
    is_check: bool = False,
    round_: int = 0,
) -> Lease:
    lease = {"q": queue, "who": annotator, "what": item, "nth": round_, "end": until.timestamp(), "checks": is_check}
    given = _lease(run(connection, queries.GIVE, lease).first)
    if round_ == 0:
        _count(connection, queue, item, by=1)
    return given


def _free(connection: Connection, which: ReturningDelete[Any], values: Mapping[str, object]) -> int:
    """Delete leases; what was skipped had been freed for others before, and a repeat holds nothing from them."""
    rows = run(connection, which, values).rows
    for item in [row.item for row in rows if row.round == 0 and row.state != "skipped"]:
        _count(connection, str(values["q"]), item, by=-1)
    return len(rows)


def _count(connection: Connection, queue: str, item: str, *, by: int) -> None:
    """Change how many people hold or have answered an item, and with it whether it is full."""
    row = run(connection, queries.COUNT, {"q": queue, "what": item, "by": by}).first
    if row.wanted is not None:
        _tally(connection, queue, item, by=int(row.taken >= row.wanted) - int(row.taken - by >= row.wanted))


def _tally(connection: Connection, queue: str, item: str, *, by: int) -> None:
    if by:
        run(connection, queries.MORE_FULL, {"q": queue, "by": by})
        run(connection, queries.FILL_LEASES, {"q": queue, "what": item, "is_now_full": by > 0})
        levels.fill_level(connection, queue, item, by=by)


def _lease(row: Any) -> Lease:
    return Lease(row.queue, row.annotator, row.item, row.round, row.state, row.turn, row.answer)
