"""Levels: works of a queue that some people would rather not be given. Takes an open transaction of `storage.leases`.

A queue has levels from the first work above level 0 on; then each of its works has a row of its own level, kept as full
as the work is. The next work within a limit is found level by level, however many lie above it, and how many are open
is counted as it changes.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from assay.storage import lease_queries as queries
from assay.storage.dialect import insert_absent
from assay.storage.lease_tables import level_table, level_tally_table
from assay.storage.statements import run


def has_levels(connection: Connection, queue: str) -> bool:
    """Whether a queue has works of different levels."""
    return bool(run(connection, queries.LEVELS, {"q": queue}).rows)


def prepare_levels(connection: Connection, queue: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Before these works are added: whether they belong into the levels, with all that the queue held so far."""
    if has_levels(connection, queue):
        return True
    if not any(row["level"] for row in rows):
        return False
    run(connection, queries.LEVEL_ALL, {"q": queue})
    run(connection, queries.TALLY_ALL, {"q": queue})
    return True


def add_levels(connection: Connection, queue: str, rows: Sequence[Mapping[str, Any]], *, is_check: bool) -> None:
    """Add works with their levels; those that are there already stay at theirs."""
    for level, these in groupby(sorted(rows, key=itemgetter("level")), key=itemgetter("level")):
        added = insert_absent(connection, level_table, [_row(row) for row in these])
        insert_absent(connection, level_tally_table, [{"queue": queue, "level": level, "items": 0, "full": 0}])
        if not is_check:
            run(connection, queries.MORE_OF_LEVEL, {"q": queue, "of": level, "by": added})


def fill_level(connection: Connection, queue: str, item: str, *, by: int) -> None:
    """A work has become full (`by` 1) or open again (-1)."""
    level = run(connection, queries.FILL_LEVEL, {"q": queue, "what": item, "is_now_full": by > 0}).value
    if level is not None:
        run(connection, queries.MORE_FULL_OF_LEVEL, {"q": queue, "of": level, "by": by})


def next_within(connection: Connection, wish: Mapping[str, Any], *, limit: int, most: int) -> list[str]:
    """The next open works up to a level, in the order in which they would come without one."""
    levels = [row.level for row in run(connection, queries.LEVELS_WITHIN, {"q": wish["q"], "limit": limit}).rows]
    found: list[str] = []
    for query in (queries.LEVEL_FROM, queries.LEVEL_BEFORE):
        if len(found) < most:
            wishes = [{**wish, "level": level, "most": most - len(found)} for level in levels]
            rows = [row for one in wishes for row in run(connection, query, one).rows]
            found += [row.item for row in sorted(rows, key=lambda row: row.place)[: most - len(found)]]
    return found


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {column.name: row[column.name] for column in level_table.columns}
