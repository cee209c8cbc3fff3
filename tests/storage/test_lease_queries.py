"""Lease queries: SQLite finds what they ask for by an index, and reads no whole queue for one person or one item."""

import re

import pytest
from sqlalchemy.dialects import sqlite

from assay.storage import RecordStore, lease_queries
from assay.storage.lease_tables import lease_table, level_table, work_table

pytestmark = pytest.mark.sqlite

OF_A_QUEUE = {"FREE_ENDED", "LEVEL_ALL"}
"""Those that are about all of a queue: of one state and before a time, and all of its works."""
STATEMENTS = {
    name: statement
    for name, statement in vars(lease_queries).items()
    if name.isupper() and not name.startswith("_") and hasattr(statement, "compile")
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = RecordStore(f"sqlite:///{tmp_path_factory.mktemp('queries') / 'assay.db'}")
    yield store
    store.close()


def plan_of(statement, store):
    """What SQLite says that it will do, a line a step."""
    text = str(statement.compile(dialect=sqlite.dialect()))
    text = re.sub(r"\(__\[POSTCOMPILE_\w+\]\)", "(?, ?)", text)  # a list of two
    with store.engine.connect() as connection:
        places = ("x",) * text.count("?")
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", places)]


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - OF_A_QUEUE))
def test_nothing_that_is_asked_of_one_person_or_item_reads_a_whole_queue(name, store):
    steps = plan_of(STATEMENTS[name], store)
    tables = "|".join([lease_table.name, work_table.name, level_table.name, "other", "placed"])
    read = [step for step in steps if re.match(rf"(SEARCH|SCAN) ({tables})\b", step)]
    assert [step for step in read if step.startswith("SCAN") or re.search(r"\(queue=\?\)", step)] == []


def test_every_statement_is_looked_at():
    assert {"ANSWERS", "ANSWERS_ON", "HELD", "STANDING", "RING_FROM", "PEOPLE"} < set(STATEMENTS)
    assert set(STATEMENTS) > OF_A_QUEUE
