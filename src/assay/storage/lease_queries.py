"""Lease queries: the statements of `storage.leases`, built once, for to build one takes longer than to run it.

What they take is bound by name: `q` the queue, `who` the annotator, `what` the item, `nth` the round, `limit` the
highest level that somebody takes.
"""

from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from assay.storage.lease_tables import lease_table, level_table, level_tally_table, tally_table, work_table

_L, _W, _T = lease_table.c, work_table.c, tally_table.c
_V, _N = level_table.c, level_tally_table.c
_OTHER, _PLACED = lease_table.alias("other").c, work_table.alias("placed").c
_Q: BindParameter[str] = bindparam("q")
_WHO: BindParameter[str] = bindparam("who")
_WHAT: BindParameter[str] = bindparam("what")
_NTH: BindParameter[int] = bindparam("nth")

_MINE = and_(_L.queue == _Q, _L.annotator == _WHO)
_THIS = and_(_MINE, _L.item == _WHAT, _L.round == _NTH)
_MY_OTHERS = and_(_OTHER.queue == _Q, _OTHER.annotator == _WHO)
_WORK = and_(_W.queue == _Q, _W.item == _WHAT)
_TALLY = _T.queue == _Q
_SAME_ITEM = and_(_W.queue == _L.queue, _W.item == _L.item)
_IS_HELD = _L.state == "held"
_IS_ABOVE = select(literal(1)).where(_V.queue == _L.queue, _V.item == _L.item, _V.level > bindparam("limit")).exists()

WORK = select(work_table).where(_WORK)
ITEMS = select(_T["items"]).where(_TALLY)
OPEN_ITEMS = select(_T["items"] - _T.full).where(_TALLY)
WANTED = select(_W.item, _W.wanted).where(_W.queue == _Q, _W.item.in_(bindparam("items", expanding=True)))
MORE_ITEMS = update(tally_table).where(_TALLY).values(items=_T["items"] + bindparam("by"))
MORE_FULL = update(tally_table).where(_TALLY).values(full=_T.full + bindparam("by"))
WANT = update(work_table).where(_WORK).values(wanted=bindparam("more"), is_full=_W.taken >= bindparam("more"))

FIND = select(lease_table).where(_THIS)
HELD = select(lease_table).where(_MINE, _IS_HELD).order_by(_L.turn)
LAST_FINISHED = select(lease_table).where(_MINE, ~_IS_HELD).order_by(_L.done.desc()).limit(1)
# in no order: for one, SQLite would read all leases of the queue in that of an index
ANSWERS = select(lease_table).where(_L.queue == _Q, _L.item == _WHAT, _L.state == "answered", _L.round == 0)
ANSWERS_ON = (
    select(lease_table)
    .where(_L.queue == _Q, _L.item.in_(bindparam("items", expanding=True)), _L.state == "answered", _L.round == 0)
    .order_by(_L.item, _L.annotator)
)
STANDING = (
    select(_L.state, _L.is_full, func.count())
    .where(_MINE, _L.round == 0, _L.is_check.is_(False))
    .group_by(_L.state, _L.is_full)
)
STANDING_WITHIN = STANDING.where(~_IS_ABOVE)
RECENT = select(lease_table).where(_MINE).order_by(_L.turn.desc()).limit(bindparam("most"))
HELD_ABOVE = select(_L.item).where(_MINE, _IS_HELD, _IS_ABOVE).limit(1)

TURNS = select(func.coalesce(func.max(_OTHER.turn), 0)).where(_MY_OTHERS)
_DONE = select(func.coalesce(func.max(_OTHER.done), 0)).where(_MY_OTHERS)
_FIRST_HELD = select(func.coalesce(func.min(_OTHER.turn), 0)).where(_MY_OTHERS, _OTHER.state == "held")
_REPEATED = select(_OTHER.item).where(_MY_OTHERS, _OTHER.round == 1)
REPEATABLE = (
    select(_L.item)
    .join(work_table, _SAME_ITEM)
    .where(_MINE, _L.round == 0, _L.state == "answered", _W.is_check.is_(False))
    .where(_L.turn <= TURNS.scalar_subquery() - bindparam("after"), _L.item.not_in(_REPEATED), ~_IS_ABOVE)
    .order_by(_L.turn)
    .limit(1)
)

GIVE = (
    insert(lease_table)
    .values(queue=_Q, annotator=_WHO, item=_WHAT, round=_NTH, state="held", until=bindparam("end"))
    .values(is_check=bindparam("checks"), is_full=False)
    .values(turn=TURNS.scalar_subquery() + 1)
    .returning(lease_table)
)
RENEW = update(lease_table).where(_THIS, _IS_HELD).values(until=bindparam("end"))
_AS_FOUND = and_(_THIS, _L.state == bindparam("was"), _L.answer.is_not_distinct_from(bindparam("said_before")))
FINISH = (
    update(lease_table)
    .where(_AS_FOUND)
    .values(state=bindparam("becomes"), until=None, answer=bindparam("said"), done=_DONE.scalar_subquery() + 1)
)
_BEFORE_ALL = _FIRST_HELD.scalar_subquery() - 1
REOPEN = (
    update(lease_table)
    .where(_AS_FOUND)
    .values(state="held", until=bindparam("end"), answer=bindparam("said"), done=None)
    .values(turn=case((_L.turn < _BEFORE_ALL, _L.turn), else_=_BEFORE_ALL))
)
_FREED = _L.item, _L.round, _L.state
FREE_ENDED = delete(lease_table).where(_L.queue == _Q, _IS_HELD, _L.until <= bindparam("at")).returning(*_FREED)
FREE_HELD = delete(lease_table).where(_MINE, _IS_HELD).returning(*_FREED)
FREE_ABOVE = delete(lease_table).where(_MINE, _IS_HELD, _IS_ABOVE).returning(*_FREED)
FREE_ALL = delete(lease_table).where(_MINE).returning(*_FREED)

FILL_LEASES = update(lease_table).where(_L.queue == _Q, _L.item == _WHAT).values(is_full=bindparam("is_now_full"))

_TAKEN = _W.taken + bindparam("by")
COUNT = (
    update(work_table)
    .where(_WORK)
    .values(taken=_TAKEN, is_full=case((_W.wanted.is_(None), False), else_=_W.wanted <= _TAKEN))
    .returning(_W.taken, _W.wanted)
)

# A person goes on behind the item that they were given last: from their own place on the ring they would pass over
# all that they have met, every time.
_LAST_PLACE = (
    select(_PLACED.place)
    .join(lease_table, and_(_PLACED.queue == _L.queue, _PLACED.item == _L.item))
    .where(_MINE, _L.round == 0, _PLACED.is_check == bindparam("is_check"))
    .order_by(_L.turn.desc())
    .limit(1)
    .scalar_subquery()
)
_START = func.coalesce(_LAST_PLACE, bindparam("own_place"))


def _open(work: ReadOnlyColumnCollection[str, Any], part: ColumnElement[bool]) -> Select[Any]:
    met = select(literal(1)).where(_MINE, _L.item == work.item)
    return (
        select(work.item)
        .where(work.queue == _Q, work.is_check == bindparam("is_check"), work.is_full.is_(False), ~met.exists(), part)
        .order_by(work.place)
        .limit(1)
    )


RING_FROM = _open(_W, _W.place >= _START).limit(bindparam("most"))
RING_BEFORE = _open(_W, _W.place < _START).limit(bindparam("most"))
PEOPLE = select(_L.item, _L.annotator).where(
    _L.queue == _Q, _L.item.in_(bindparam("items", expanding=True)), _L.round == 0, _L.state != "skipped"
)

OPEN_THIS = _open(_W, _W.item == _WHAT)


def _of_level(part: ColumnElement[bool]) -> Select[Any]:
    return _open(_V, part).add_columns(_V.place).where(_V.level == bindparam("level")).limit(bindparam("most"))


LEVEL_FROM = _of_level(_V.place >= _START)
LEVEL_BEFORE = _of_level(_V.place < _START)
LEVELS = select(_N.level).where(_N.queue == _Q)
LEVELS_WITHIN = LEVELS.where(_N.level <= bindparam("limit")).order_by(_N.level)
OPEN_WITHIN = select(func.sum(_N["items"] - _N.full)).where(_N.queue == _Q, _N.level <= bindparam("limit"))
_THIS_LEVEL = and_(_N.queue == _Q, _N.level == bindparam("of"))
MORE_OF_LEVEL = update(level_tally_table).where(_THIS_LEVEL).values(items=_N["items"] + bindparam("by"))
MORE_FULL_OF_LEVEL = update(level_tally_table).where(_THIS_LEVEL).values(full=_N.full + bindparam("by"))
FILL_LEVEL = (
    update(level_table)
    .where(_V.queue == _Q, _V.item == _WHAT)
    .values(is_full=bindparam("is_now_full"))
    .returning(_V.level)
)
LEVEL_ALL = insert(level_table).from_select(
    ["queue", "item", "is_check", "level", "is_full", "place"],
    select(_W.queue, _W.item, _W.is_check, literal(0), _W.is_full, _W.place).where(_W.queue == _Q),
)
TALLY_ALL = insert(level_tally_table).from_select(
    ["queue", "level", "items", "full"],
    select(_T.queue, literal(0), _T["items"], _T.full).where(_TALLY),
)
