"""Statements on the driver's own cursor, on SQLite and PostgreSQL, beside SQLAlchemy's own way."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from assay.records.errors import StorageError
from assay.storage import RecordStore, Workspace
from assay.storage import lease_queries as queries
from assay.storage.dialect import storage_errors, writing
from assay.storage.leases import Leases, Work
from assay.storage.statements import read, run

NOW = datetime(2026, 7, 1, tzinfo=UTC)
MINE = {"q": "q", "who": "ada", "limit": 0, "what": "item 0"}


@pytest.fixture
def engine(tmp_path, database):
    workspace = Workspace(tmp_path / "w", database=database)
    leases = Leases(workspace.records)
    leases.add("q", [Work(f"item {number}", "train", level=number % 2) for number in range(6)], wanted=1)
    leases.finish(leases.take("q", "ada", now=NOW), "answered", answer="x", rows=[])
    leases.take("q", "ada", now=NOW)
    yield leases.records.engine
    workspace.close()


@pytest.mark.parametrize(
    "name", ["WORK", "ITEMS", "OPEN_ITEMS", "HELD", "LAST_FINISHED", "STANDING", "STANDING_WITHIN", "LEVELS", "TURNS"]
)
def test_a_query_yields_what_it_yields_through_sqlalchemy(engine, name):
    query = getattr(queries, name)
    with engine.connect() as connection:
        expected = [tuple(row) for row in connection.execute(query, MINE)]
        within = run(connection, query, MINE).rows
    assert expected
    assert [[(type(one), one) for one in row] for row in read(engine, query, MINE)] == [
        [(type(one), one) for one in row] for row in expected
    ]
    assert [tuple(row) for row in within] == expected


def test_columns_are_read_by_name_and_truth_is_no_number(engine):
    row = read(engine, queries.WORK, MINE)[0]
    assert (row.item, row.split, row.wanted, row.is_check) == ("item 0", "train", 1, False)
    assert isinstance(row.is_full, bool)


def test_a_statement_says_how_many_rows_it_matched_and_what_they_became(engine):
    held = read(engine, queries.HELD, MINE)[0]
    this = {**MINE, "what": held.item, "nth": 0}
    with writing(engine) as connection:
        assert run(connection, queries.RENEW, {**this, "end": 7.0}).matched == 1
        assert run(connection, queries.RENEW, {**this, "who": "bob", "end": 7.0}).matched == 0
        freed = run(connection, queries.FREE_ENDED, {"q": "q", "at": 8.0})
        assert (freed.matched, freed.first.item, freed.value) == (1, held.item, held.item)
        assert run(connection, queries.FREE_ENDED, {"q": "q", "at": 8.0}).value is None
    assert read(engine, queries.HELD, MINE) == []


def test_what_was_done_is_undone_where_the_transaction_fails(engine):
    before = read(engine, queries.HELD, MINE)
    with pytest.raises(ZeroDivisionError), writing(engine) as connection:
        run(connection, queries.FREE_HELD, MINE)
        raise ZeroDivisionError
    assert read(engine, queries.HELD, MINE) == before


def test_a_value_cannot_take_the_place_of_what_a_statement_sets_itself(engine):
    wish = {**MINE, "what": "item 0", "who": "bob", "nth": 0, "end": 7.0, "checks": False, "state": "answered"}
    with writing(engine) as connection:
        assert run(connection, queries.GIVE, wish).first.state == "held"


def test_a_missing_value_is_refused_and_not_taken_for_nothing(engine):
    with pytest.raises((KeyError, DBAPIError)):
        read(engine, queries.HELD, {"q": "q"})


def test_a_query_with_a_list_takes_lists_of_any_length(engine):
    for count in (0, 1, 3):
        wish = {"q": "q", "items": [f"item {number}" for number in range(count)]}
        assert len(read(engine, queries.WANTED, wish)) == count
        with engine.connect() as connection:
            assert len(run(connection, queries.WANTED, wish).rows) == count


def test_who_listens_to_the_statements_of_an_engine_hears_these_too(engine):
    heard = []
    event.listen(engine, "before_cursor_execute", lambda *a: heard.append(a[2].split()[0]))
    read(engine, queries.HELD, MINE)
    with writing(engine) as connection:
        assert run(connection, queries.FREE_HELD, MINE).matched == 1
    assert [word for word in heard if word in ("SELECT", "DELETE")] == ["SELECT", "DELETE"]


def test_errors_of_the_database_are_told_as_any_other(engine):
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE queue_tally"))
    with pytest.raises(StorageError, match=r"the leases.*queue_tally"), storage_errors("the leases"):
        read(engine, queries.ITEMS, MINE)
    with pytest.raises(StorageError, match="queue_tally"), storage_errors("the leases"), writing(engine) as connection:
        run(connection, queries.ITEMS, MINE)


def test_connections_go_back_whence_they_came(engine):
    for _ in range(40):  # more than a pool holds
        read(engine, queries.ITEMS, MINE)
    assert engine.pool.checkedout() == 0


@pytest.mark.sqlite
def test_a_database_that_cannot_be_opened_is_told(tmp_path):
    records = RecordStore(f"sqlite:///{tmp_path / 'assay.db'}")
    records.close()
    for file in tmp_path.glob("assay.db*"):
        file.unlink()
    (tmp_path / "assay.db").mkdir()
    with pytest.raises(StorageError, match="unable to open"), storage_errors("the records"):
        read(records.engine, queries.ITEMS, MINE)
