"""Leases: who works on which item of a queue until when; takes items and a clock, yields exact overlap.

An item that `wanted` people shall answer is leased to that many at most, counting those who have answered. Every step
is one transaction that first holds the queue's write lock (SQLite: `BEGIN IMMEDIATE`; PostgreSQL: an advisory lock by
queue), so two browsers, threads or processes never get one lease too many. A lease that nobody renews ends by the clock
that is passed in. An answer and the end of its lease are one transaction: a killed process leaves both or neither.

Catches: a double take, an answer without a lease, a lease that ran out and was given to somebody else. Does not catch:
one person under two names.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from assay.records.record import Record
from assay.storage.database import RecordStore, record_table, row_of, storage_errors
from assay.storage.lease_tables import lease_metadata, lease_table, tally_table, work_table

LeaseState = Literal["held", "answered", "skipped"]
Stored = tuple[Record, str | None, str | None]

LEASE_TIME = timedelta(minutes=30)
_BATCH = 500

_IS_HELD = lease_table.c.state == "held"


class Work(NamedTuple):
    """An item for a queue: its identity, the split of its prompt, and whether it checks people instead of the item."""

    item: str
    split: str
    is_check: bool = False


class Lease(NamedTuple):
    """One person's hold on one item; `round` 1 is a repeat, `turn` counts what the person was given."""

    queue: str
    annotator: str
    item: str
    round: int
    state: LeaseState
    turn: int
    answer: str | None


class Standing(NamedTuple):
    """How far one person is: items finished, and items that they may finish in all."""

    finished: int
    total: int


class Leases:
    """The queues of one record store. Raises StorageError when the database cannot be read or written."""

    def __init__(self, records: RecordStore) -> None:
        self.records = records
        self._engine = records.engine  # the same room, the same database: answer and lease end in one transaction
        with storage_errors("the leases"):
            lease_metadata.create_all(self._engine)

    def add(self, queue: str, works: Iterable[Work], *, wanted: int | None) -> int:
        """Put items into a queue and return how many were new; `wanted` people may answer each, None: everybody."""
        rows = [
            {"queue": queue, "item": work.item, "split": work.split, "place": place_of(queue, work.item), "taken": 0}
            | {"wanted": None if work.is_check else wanted, "is_full": False, "is_check": work.is_check}
            for work in works
        ]
        return sum(
            self._add(queue, [row for row in rows if row["is_check"] is is_check][start : start + _BATCH], is_check)
            for is_check in (False, True)
            for start in range(0, len(rows), _BATCH)
        )

    def _add(self, queue: str, rows: Sequence[dict[str, object]], is_check: bool) -> int:
        if not rows:
            return 0
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        tally = dialect.insert(tally_table).values(queue=queue, items=0, full=0).on_conflict_do_nothing()
        with self._writing(queue) as connection:
            added = connection.execute(dialect.insert(work_table).values(rows).on_conflict_do_nothing()).rowcount
            connection.execute(tally)
            if not is_check:
                more = update(tally_table).where(tally_table.c.queue == queue)
                connection.execute(more.values(items=tally_table.c["items"] + added))
        return added

    def split_of(self, queue: str, item: str) -> str | None:
        """The split of an item's prompt, or None where the queue does not hold the item."""
        rows = self._read(select(work_table.c.split).where(_is_work(queue, item)))
        return rows[0].split if rows else None

    def held(self, queue: str, annotator: str) -> list[Lease]:
        """What this person holds, in the order it was given; also what ran out and nobody else asked for."""
        query = _leases(queue, annotator).where(lease_table.c.state == "held").order_by(lease_table.c.turn)
        return [_lease(row) for row in self._read(query)]

    def take(
        self,
        queue: str,
        annotator: str,
        *,
        now: datetime,
        is_check: bool = False,
        item: str | None = None,
        lasts: timedelta = LEASE_TIME,
    ) -> Lease | None:
        """Lease the next open item that this person has not met, or None; `item` asks for that one and no other.

        `is_check` asks for a checking item. The order is a ring that each person enters at a place of their own.
        """
        with self._writing(queue) as connection:
            _end_leases(connection, queue, now)
            found = _next_open(connection, queue, annotator, is_check=is_check, item=item)
            if found is None:
                return None
            return _give(connection, Lease(queue, annotator, found, 0, "held", 0, None), until=now + lasts)

    def repeat(
        self, queue: str, annotator: str, *, after: int, now: datetime, lasts: timedelta = LEASE_TIME
    ) -> Lease | None:
        """Lease once more the oldest item that this person answered at least `after` turns ago, each item once."""
        again = lease_table.alias()
        repeated = select(again.c.item).where(
            again.c.queue == queue, again.c.annotator == annotator, again.c.round == 1
        )
        with self._writing(queue) as connection:
            _end_leases(connection, queue, now)
            query = (
                select(lease_table.c.item)
                .join(work_table, _same_item())
                .where(lease_table.c.queue == queue, lease_table.c.annotator == annotator, lease_table.c.round == 0)
                .where(lease_table.c.state == "answered", work_table.c.is_check.is_(False))
                .where(lease_table.c.turn <= _turns(connection, queue, annotator) - after)
                .where(lease_table.c.item.not_in(repeated))
                .order_by(lease_table.c.turn)
                .limit(1)
            )
            item = connection.execute(query).scalar_one_or_none()
            if item is None:
                return None
            return _give(connection, Lease(queue, annotator, item, 1, "held", 0, None), until=now + lasts)

    def renew(self, lease: Lease, *, now: datetime, lasts: timedelta = LEASE_TIME) -> bool:
        """Hold on for longer; False where somebody else has the item meanwhile."""
        with self._writing(lease.queue) as connection:
            end = {"until": (now + lasts).timestamp()}
            return connection.execute(update(lease_table).where(_is(lease), _IS_HELD).values(end)).rowcount == 1

    def release(self, queue: str, annotator: str) -> int:
        """Give back all that this person holds; returns how many items others may have."""
        with self._writing(queue) as connection:
            return _free(connection, queue, lease_table.c.annotator == annotator)

    def forget(self, queue: str, annotator: str) -> int:
        """Drop all that this person holds, answered or passed over; returns how many leases."""
        with self._writing(queue) as connection:
            return _free(connection, queue, lease_table.c.annotator == annotator, is_any=True)

    def find(self, queue: str, annotator: str, item: str, *, round: int = 0) -> Lease | None:  # noqa: A002
        """This person's lease of an item, whatever its state."""
        rows = self._read(_leases(queue, annotator).where(lease_table.c.item == item, lease_table.c.round == round))
        return _lease(rows[0]) if rows else None

    def finish(self, lease: Lease, state: LeaseState, *, answer: str, rows: Sequence[Stored]) -> bool:
        """Store what was said and end the lease, both or neither. False, with nothing stored, where it has changed.

        An answer may be finished again (it was corrected); a skip frees the item for somebody else.
        """
        with self._writing(lease.queue) as connection:
            as_found = lease_table.c.answer.is_not_distinct_from(lease.answer), lease_table.c.state == lease.state
            order = func.coalesce(func.max(lease_table.c.done), 0) + 1
            mine = lease_table.c.queue == lease.queue, lease_table.c.annotator == lease.annotator
            last = connection.execute(select(order).where(*mine)).scalar_one()
            values = {"state": state, "until": None, "answer": answer, "done": last}
            if connection.execute(update(lease_table).where(_is(lease), *as_found).values(values)).rowcount != 1:
                return False
            if state == "skipped" and lease.round == 0:
                _count(connection, lease.queue, lease.item, by=-1)
            self._store(connection, rows)
            return True

    def last_finished(self, queue: str, annotator: str) -> Lease | None:
        """What this person finished last and has not taken back."""
        query = _leases(queue, annotator).where(lease_table.c.state != "held").order_by(lease_table.c.done.desc())
        return next((_lease(row) for row in self._read(query.limit(1))), None)

    def reopen(self, lease: Lease, *, answer: str | None, rows: Sequence[Stored], until: datetime) -> bool:
        """Take back the end of a lease: its item comes next again. False where others have filled a skipped item.

        `answer` is what the next answer will supersede.
        """
        with self._writing(lease.queue) as connection:
            if lease.state == "skipped" and lease.round == 0:
                open_ = select(work_table.c.is_full).where(_is_work(lease.queue, lease.item))
                if connection.execute(open_).scalar_one():
                    return False
                _count(connection, lease.queue, lease.item, by=1)
            first = func.coalesce(func.min(lease_table.c.turn), 0) - 1
            mine = lease_table.c.queue == lease.queue, lease_table.c.annotator == lease.annotator
            turn = connection.execute(select(first).where(*mine, lease_table.c.state == "held")).scalar_one()
            values = {"state": "held", "until": until.timestamp(), "answer": answer, "done": None}
            values |= {"turn": min(turn, lease.turn)}
            as_found = and_(_is(lease), lease_table.c.state == lease.state)
            if connection.execute(update(lease_table).where(as_found).values(values)).rowcount != 1:
                return False
            self._store(connection, rows)
            return True

    def want(self, queue: str, item: str, wanted: int) -> None:
        """Let so many people answer one item, as when those who did disagree. Only ever raises the number."""
        with self._writing(queue) as connection:
            row = connection.execute(select(work_table).where(_is_work(queue, item))).one_or_none()
            if row is None or row.wanted is None or row.wanted >= wanted:
                return
            is_full = row.taken >= wanted
            change = update(work_table).where(_is_work(queue, item))
            connection.execute(change.values(wanted=wanted, is_full=is_full))
            _tally(connection, queue, by=int(is_full) - int(row.is_full))

    def answers(self, queue: str, item: str) -> list[Lease]:
        """Answered leases of one item in its first round, by annotator."""
        query = select(lease_table).where(lease_table.c.queue == queue, lease_table.c.item == item)
        query = query.where(lease_table.c.state == "answered", lease_table.c.round == 0)
        return [_lease(row) for row in self._read(query.order_by(lease_table.c.annotator))]

    def wanted(self, queue: str, item: str) -> int | None:
        """How many people shall answer an item; None: as many as come."""
        rows = self._read(select(work_table.c.wanted).where(_is_work(queue, item)))
        return rows[0].wanted if rows else None

    def standing(self, queue: str, annotator: str) -> Standing:
        """How far a person has come; items that others have filled do not count for them."""
        open_ = select(tally_table.c["items"] - tally_table.c.full).where(tally_table.c.queue == queue)
        mine = (
            select(lease_table.c.state, lease_table.c.round, work_table.c.is_full, func.count())
            .join(work_table, _same_item())
            .where(lease_table.c.queue == queue, lease_table.c.annotator == annotator, work_table.c.is_check.is_(False))
            .group_by(lease_table.c.state, lease_table.c.round, work_table.c.is_full)
        )
        with storage_errors("the leases"), self._engine.connect() as connection:
            groups = [(s, r, f, n) for s, r, f, n in connection.execute(mine) if r == 0]
            unmet = (connection.execute(open_).scalar() or 0) - sum(n for _, _, is_full, n in groups if not is_full)
        finished = sum(n for state, *_, n in groups if state == "answered")
        return Standing(finished, finished + sum(n for state, *_, n in groups if state == "held") + unmet)

    def items(self, queue: str) -> int:
        """How many items a queue holds, checks not counted."""
        rows = self._read(select(tally_table.c["items"]).where(tally_table.c.queue == queue))
        return int(rows[0][0]) if rows else 0

    def turns(self, queue: str, annotator: str) -> int:
        """How many items this person was given so far."""
        with storage_errors("the leases"), self._engine.connect() as connection:
            return _turns(connection, queue, annotator)

    def is_known(self, kind: str, identity: str) -> bool:
        """Whether there is a record of this kind and identity."""
        query = select(record_table.c.seq).where(record_table.c.kind == kind, record_table.c.id == identity)
        return bool(self._read(query))

    def _read(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with storage_errors("the leases"), self._engine.connect() as connection:
            return connection.execute(query).all()

    def _store(self, connection: Connection, rows: Sequence[Stored]) -> None:
        if not rows:
            return
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(record_table).values([row_of(*row) for row in rows]).on_conflict_do_nothing())

    @contextmanager
    def _writing(self, queue: str) -> Iterator[Connection]:
        with storage_errors("the leases"), self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": place_of("lock", queue)})
            yield connection
            connection.commit()


def place_of(salt: str, name: str) -> int:
    """A place on the ring, even over names: the first 62 bits of a hash."""
    return int.from_bytes(sha256(f"{salt}\x00{name}".encode()).digest()[:8], "big") >> 2


def _next_open(connection: Connection, queue: str, annotator: str, *, is_check: bool, item: str | None) -> str | None:
    met = select(lease_table.c.item).where(
        lease_table.c.queue == queue, lease_table.c.annotator == annotator, lease_table.c.item == work_table.c.item
    )
    start = place_of(queue, annotator)
    open_ = (
        select(work_table.c.item)
        .where(work_table.c.queue == queue, work_table.c.is_check.is_(is_check), work_table.c.is_full.is_(False))
        .where(~met.exists())
        .order_by(work_table.c.place)
        .limit(1)
    )
    if item is not None:
        open_ = open_.where(work_table.c.item == item)
    for part in (work_table.c.place >= start, work_table.c.place < start):
        found: str | None = connection.execute(open_.where(part)).scalar_one_or_none()
        if found is not None:
            return found
    return None


def _give(connection: Connection, lease: Lease, *, until: datetime) -> Lease:
    given = lease._replace(turn=_turns(connection, lease.queue, lease.annotator) + 1)
    connection.execute(insert(lease_table).values({**given._asdict(), "until": until.timestamp()}))
    if lease.round == 0:
        _count(connection, lease.queue, lease.item, by=1)
    return given


def _end_leases(connection: Connection, queue: str, now: datetime) -> None:
    ended = and_(lease_table.c.state == "held", lease_table.c.until <= now.timestamp())
    _free(connection, queue, ended)


def _free(connection: Connection, queue: str, which: ColumnElement[bool], *, is_any: bool = False) -> int:
    """Delete leases that are held, or any; what was skipped had been freed for others before."""
    mine = and_(lease_table.c.queue == queue, which, true() if is_any else _IS_HELD)
    rows = connection.execute(select(lease_table.c.item, lease_table.c.round, lease_table.c.state).where(mine)).all()
    if rows:
        connection.execute(delete(lease_table).where(mine))
        for item in [item for item, round_, state in rows if round_ == 0 and state != "skipped"]:
            _count(connection, queue, item, by=-1)
    return len(rows)


def _count(connection: Connection, queue: str, item: str, *, by: int) -> None:
    """Change how many people hold or have answered an item, and with it whether it is full."""
    taken = work_table.c.taken + by
    full = case((work_table.c.wanted.is_(None), False), else_=taken >= work_table.c.wanted)
    change = update(work_table).where(_is_work(queue, item)).values(taken=taken, is_full=full)
    row = connection.execute(change.returning(work_table.c.taken, work_table.c.wanted)).one()
    if row.wanted is not None:
        _tally(connection, queue, by=int(row.taken >= row.wanted) - int(row.taken - by >= row.wanted))


def _tally(connection: Connection, queue: str, *, by: int) -> None:
    if by:
        change = update(tally_table).where(tally_table.c.queue == queue)
        connection.execute(change.values(full=tally_table.c.full + by))


def _turns(connection: Connection, queue: str, annotator: str) -> int:
    query = select(func.coalesce(func.max(lease_table.c.turn), 0))
    return int(
        connection.execute(query.where(lease_table.c.queue == queue, lease_table.c.annotator == annotator)).scalar_one()
    )


def _leases(queue: str, annotator: str) -> Select[Any]:
    return select(lease_table).where(lease_table.c.queue == queue, lease_table.c.annotator == annotator)


def _lease(row: Row[Any]) -> Lease:
    return Lease(row.queue, row.annotator, row.item, row.round, row.state, row.turn, row.answer)


def _is(lease: Lease) -> ColumnElement[bool]:
    return and_(
        lease_table.c.queue == lease.queue,
        lease_table.c.annotator == lease.annotator,
        lease_table.c.item == lease.item,
        lease_table.c.round == lease.round,
    )


def _is_work(queue: str, item: str) -> ColumnElement[bool]:
    return and_(work_table.c.queue == queue, work_table.c.item == item)


def _same_item() -> ColumnElement[bool]:
    return and_(work_table.c.queue == lease_table.c.queue, work_table.c.item == lease_table.c.item)
