"""Schema: a new database is made, one of before is completed, and any other is refused and left as it is."""

import subprocess
import sys

import pytest
from schema_cases import (
    TABLES_OF_BEFORE,
    WIDER,
    a_demonstration,
    add_revision,
    execute,
    layout_of,
    make_before,
    rows_of,
    use_the_first_alone,
)
from sqlalchemy import create_engine

from assay.records.errors import StorageError
from assay.records.judgement import Demonstration
from assay.storage import RecordStore, Workspace, schema
from assay.storage.lease_tables import metadata
from assay.storage.leases import Leases
from assay.storage.migrating import migrate

QUEUES = ("record", "schema_version", "work", "lease", "queue_tally")

OPEN_TWICE = """
import sys
from pathlib import Path
from assay.storage import Workspace
from assay.storage.leases import Leases
workspace = Workspace(Path(sys.argv[1]))
Leases(workspace.records).take("q", "ada", now=__import__("datetime").datetime.now(__import__("datetime").UTC))
workspace.close()
print(sorted(name for name in sys.modules if name.split(".")[0] in ("alembic", "mako")))
"""


@pytest.fixture(autouse=True)
def the_first_alone(monkeypatch, tmp_path_factory):
    use_the_first_alone(monkeypatch, tmp_path_factory.mktemp("revisions") / "first")


@pytest.fixture
def url(tmp_path, database):
    return database or f"sqlite:///{tmp_path / 'assay.db'}"


@pytest.fixture
def records(now):
    return [a_demonstration(words, now) for words in ("a", 'ü "b" 🙂')]


@pytest.fixture
def later(tmp_path, monkeypatch):
    """An Assay of one revision more."""
    monkeypatch.setattr(schema, "REVISIONS", add_revision(tmp_path / "later", "0002", WIDER))


def stated(url):
    return rows_of(url, ("alembic_version", "schema_version"))


def test_a_new_database_is_at_the_newest_revision(url):
    RecordStore(url).close()
    assert stated(url) == {"alembic_version": [("0001",)], "schema_version": [(1,)]}
    assert schema.newest() == "0001"


@pytest.mark.parametrize("tables", [("record", "schema_version"), QUEUES, tuple(TABLES_OF_BEFORE)])
def test_a_database_of_before_keeps_every_row_and_gains_what_it_lacks(url, records, tables):
    make_before(url, records, tables)
    before = rows_of(url, tables)
    store = RecordStore(url)
    assert store.all(Demonstration, split="train", subject="anna") == records
    assert Leases(store).has_levels("q") is ("work_level" in tables)
    store.close()
    assert rows_of(url, tables) == before
    assert stated(url)["alembic_version"] == [("0001",)]
    assert layout_of(url) == layout_of_a_new_one(url)


def layout_of_a_new_one(url):
    engine = create_engine(url)
    metadata.drop_all(engine)
    execute(url, "DROP TABLE alembic_version")
    RecordStore(url).close()
    engine.dispose()
    return layout_of(url)


def test_a_database_of_before_gains_an_index_that_came_after_its_table(url, records):
    make_before(url, records)
    whole = layout_of(url)
    execute(url, "DROP INDEX lease_by_turn")
    RecordStore(url).close()
    assert layout_of(url) == whole


def test_an_adopted_database_goes_on_where_it_was(url, records, now):
    make_before(url, records)
    store = RecordStore(url)
    more = a_demonstration("c", now)
    store.put_all([(one, "train", "anna") for one in (*records, more)])
    assert store.all(Demonstration) == [*records, more]
    store.close()


def test_tables_of_these_names_with_other_columns_are_refused_all_together_and_left(url, records):
    make_before(url, records)
    execute(url, "ALTER TABLE work RENAME COLUMN place TO elsewhere", "ALTER TABLE lease ADD COLUMN note TEXT")
    before = layout_of(url), rows_of(url)
    with pytest.raises(StorageError, match="version 1; got work with elsewhere, .*; lease with .*note"):
        RecordStore(url)
    assert (layout_of(url), rows_of(url)) == before


@pytest.mark.parametrize("is_of_before", [False, True])
def test_an_older_database_is_refused_with_the_command_to_run_and_left(url, records, is_of_before, request):
    if is_of_before:
        make_before(url, records)
    else:
        RecordStore(url).close()
    before = layout_of(url), rows_of(url)
    request.getfixturevalue("later")
    with pytest.raises(StorageError, match="of revision 0002; got revision 0001 .*run `assay migrate --workspace DIR`"):
        RecordStore(url)
    assert (layout_of(url), rows_of(url)) == before


def test_a_database_of_an_assay_to_come_is_refused_and_left(url, records, monkeypatch, tmp_path):
    make_before(url, records)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "REVISIONS", add_revision(tmp_path / "later", "0002", WIDER))
        migrate(url)
    before = layout_of(url), rows_of(url)
    for refused in (RecordStore, migrate):
        with pytest.raises(StorageError, match="revision 0001 at most; got revision '0002' .*or a newer one"):
            refused(url)
    assert (layout_of(url), rows_of(url)) == before


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ("UPDATE alembic_version SET version_num = 'ae1027a6acf4'", "'ae1027a6acf4'"),
        ("INSERT INTO alembic_version VALUES ('0002')", "'0001', '0002'"),
    ],
)
def test_a_database_that_states_what_nobody_here_knows_is_refused(url, change, got):
    RecordStore(url).close()
    execute(url, change)
    with pytest.raises(StorageError, match=f"at most; got revision {got}"):
        RecordStore(url)


def test_a_database_whose_making_was_never_kept_is_made(url):
    execute(url, "CREATE TABLE schema_version (version INTEGER PRIMARY KEY)")
    RecordStore(url).close()
    assert stated(url) == {"alembic_version": [("0001",)], "schema_version": [(1,)]}


def test_what_an_assay_of_before_looks_at_moves_on_with_the_revision(url, later):
    RecordStore(url).close()
    assert stated(url) == {"alembic_version": [("0002",)], "schema_version": [(2,)]}


def test_opening_what_is_at_the_newest_revision_does_not_import_alembic(tmp_path, database, monkeypatch):
    monkeypatch.undo()  # another process knows all revisions
    Workspace(tmp_path / "w", database=database).close()
    command = [sys.executable, "-c", OPEN_TWICE, str(tmp_path / "w")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
