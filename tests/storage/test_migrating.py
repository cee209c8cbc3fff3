"""Migrating: all of it or none, whoever dies in the middle, and two never do it at once."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from schema_cases import (
    MIGRATE,
    WIDER,
    a_demonstration,
    copies,
    make_before,
    rows_of,
    standing,
    use_revision,
    use_the_first_alone,
)

from assay.records.errors import BusyError, StorageError
from assay.records.judgement import Demonstration
from assay.storage import RecordStore, Workspace
from assay.storage.lock import run_lock
from assay.storage.migrating import Migration, migrate
from assay.storage.workspace import migrate_workspace

FAILS = WIDER + "    op.drop_table('nowhere')\n"
WAITS = WIDER + "    print('halfway', flush=True)\n    __import__('sys').stdin.readline()\n"


@pytest.fixture(autouse=True)
def the_first_alone(monkeypatch, tmp_path_factory):
    use_the_first_alone(monkeypatch, tmp_path_factory.mktemp("revisions") / "first")


@pytest.fixture
def url(tmp_path, database):
    return database or f"sqlite:///{tmp_path / 'assay.db'}"


@pytest.fixture
def records(now):
    return [a_demonstration(f"number {number}", now) for number in range(300)]


@pytest.fixture
def old(url, records):
    """URL of a database at revision 0001 with a row in every table."""
    make_before(url, records)
    RecordStore(url).close()
    return url


@pytest.fixture
def later(tmp_path, monkeypatch):
    """Makes this Assay one with another revision; the function takes its steps."""
    return lambda steps, number="0002": use_revision(monkeypatch, tmp_path / "later", steps, number)


def test_a_migration_takes_every_record_along(old, records, later, tmp_path):
    later(WIDER)
    done = migrate(old)
    assert (done.before, done.after) == ("0001", "0002")
    assert rows_of(old, ("schema_version", "alembic_version")) == {
        "schema_version": [(2,)],
        "alembic_version": [("0002",)],
    }
    store = RecordStore(old)
    assert store.all(Demonstration, split="train", subject="anna") == records
    assert store.get(Demonstration, records[7].short_id) == records[7]
    store.close()
    assert {row[-1] for row in rows_of(old, ("record",))["record"]} == {"before"}
    assert rows_of(old, ("lease", "later")) == {
        "lease": [("q", "ada", "one", 0, "held", 1, None, 1767225600.5, None)],
        "later": [],
    }


def test_a_database_of_before_there_were_revisions_takes_every_step_at_once(url, records, later):
    make_before(url, records, ("record", "schema_version"))
    later(WIDER)
    assert migrate(url)[:2] == ("0001", "0002")
    store = RecordStore(url)
    assert store.all(Demonstration) == records
    store.close()
    assert rows_of(url, ("later", "queue_tally")) == {"later": [], "queue_tally": []}


def test_there_is_nothing_to_do_twice(old, later, tmp_path):
    later(WIDER)
    migrate(old)
    before, kept = standing(old), copies(tmp_path)
    assert migrate(old) == Migration("0002", "0002", None)
    assert (standing(old), copies(tmp_path)) == (before, kept)


def test_a_revision_that_fails_halfway_leaves_everything_as_it_was(old, later, tmp_path, records):
    before = standing(old)
    later(FAILS)
    with pytest.raises(StorageError, match="nowhere.*nothing was half-written"):
        migrate(old)
    assert standing(old) == before
    assert copies(tmp_path) == []
    later(WIDER)
    assert migrate(old)[:2] == ("0001", "0002")
    assert len(rows_of(old, ("record",))["record"]) == len(records)


def test_a_fault_in_the_second_step_takes_the_first_back_too(old, later):
    before = standing(old)
    later(WIDER)
    later("    op.drop_table('later')\n    raise OSError('no space left on device')\n", number="0003")
    with pytest.raises(OSError, match="no space left"):
        migrate(old)
    assert standing(old) == before


def test_a_killed_migration_leaves_everything_as_it_was(old, later, tmp_path, records):
    before = standing(old)
    directory = later(WAITS)
    command = [sys.executable, "-c", MIGRATE, old, str(directory), "-1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "halfway\n"
        process.send_signal(signal.SIGKILL)
    assert standing(old) == before
    later(WIDER)
    assert migrate(old)[:2] == ("0001", "0002")
    assert len(rows_of(old, ("record",))["record"]) == len(records)


def test_of_two_at_once_one_migrates(old, later):
    later(WIDER)
    together = Barrier(2)

    def one(_):
        together.wait()
        return migrate(old)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(done.before for done in pool.map(one, range(2))) == ["0001", "0002"]


def test_a_workspace_is_migrated_while_nobody_runs_in_it(tmp_path, database, now, later):
    directory = tmp_path / "w"
    workspace = Workspace(directory, database=database)
    url = workspace.records.engine.url.render_as_string(hide_password=False)
    workspace.records.put(a_demonstration("a", now))
    workspace.close()
    before = standing(url)
    later(WIDER)
    with run_lock(directory), pytest.raises(BusyError, match="to be free"):
        migrate_workspace(directory)
    assert standing(url) == before
    assert migrate_workspace(directory)[:2] == ("0001", "0002")
    workspace = Workspace(directory)
    assert workspace.records.all(Demonstration) == [a_demonstration("a", now)]
    workspace.close()
