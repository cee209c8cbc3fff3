"""Copying: before an SQLite file is migrated a whole copy of it is kept, or nothing is changed."""

import os
import sqlite3
import stat
import subprocess
import sys

import pytest
from schema_cases import (
    MIGRATE,
    WIDER,
    a_demonstration,
    copies,
    execute,
    make_before,
    rows_of,
    standing,
    use_revision,
    use_the_first_alone,
)

from assay.records.errors import StorageError
from assay.storage import RecordStore
from assay.storage.migrating import migrate

pytestmark = pytest.mark.sqlite


@pytest.fixture(autouse=True)
def the_first_alone(monkeypatch, tmp_path_factory):
    use_the_first_alone(monkeypatch, tmp_path_factory.mktemp("revisions") / "first")


@pytest.fixture
def file(tmp_path, now):
    """The file of a database at revision 0001 with a row in every table, and more of records."""
    path = tmp_path / "assay.db"
    make_before(f"sqlite:///{path}", [a_demonstration(f"number {number}", now) for number in range(300)])
    RecordStore(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def url(file):
    return f"sqlite:///{file}"


@pytest.fixture
def later(tmp_path, monkeypatch):
    """Makes this Assay one with another revision."""
    return lambda: use_revision(monkeypatch, tmp_path / "later", WIDER)


def migrate_in_room(url, directory, room):
    """What a process says that cannot write files of more than so many bytes."""
    command = [sys.executable, "-c", MIGRATE, url, str(directory), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_copy_of_before_is_kept_beside_the_file_and_is_as_it_was(url, file, later):
    file.chmod(0o640)
    before = standing(url)
    later()
    copy = migrate(url).copy
    assert copy == file.with_name("assay.db.before-0002")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640
    assert standing(f"sqlite:///{copy}") == before


def test_a_copy_holds_what_only_the_log_held(url, file, later):
    reader = sqlite3.connect(file)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM record").fetchone()  # keeps the log from being written into the file
    execute(url, "UPDATE queue_tally SET items = 77")
    later()
    copy = migrate(url).copy
    reader.close()
    assert rows_of(f"sqlite:///{copy}", ("queue_tally",)) == {"queue_tally": [("q", 77, 0)]}


def test_no_copy_is_written_over(url, file, later):
    earlier = file.with_name("assay.db.before-0002")
    earlier.write_text("an earlier copy")
    later()
    assert migrate(url).copy == file.with_name("assay.db.before-0002.2")
    assert earlier.read_text() == "an earlier copy"


def test_what_a_killed_process_left_of_a_copy_is_written_over(url, file, later, tmp_path):
    before = standing(url)
    file.with_name("assay.db.before-0002.part").write_bytes(b"half of a copy" * 5000)
    later()
    copy = migrate(url).copy
    assert copies(tmp_path) == ["assay.db.before-0002"]
    assert standing(f"sqlite:///{copy}") == before


def test_where_there_is_no_room_for_a_copy_nothing_is_changed(url, file, later, tmp_path):
    before = standing(url)
    said = migrate_in_room(url, later(), file.stat().st_size // 2)
    assert "to keep a copy of" in said
    assert "nothing was changed" in said
    assert standing(url) == before
    assert copies(tmp_path) == []


def test_where_there_is_room_for_the_copy_alone_nothing_is_changed(url, file, later, tmp_path):
    before = standing(url)
    said = migrate_in_room(url, later(), file.stat().st_size + 4096)
    assert "nothing was half-written" in said
    assert standing(url) == before
    assert copies(tmp_path) == []


def test_a_copy_that_cannot_be_put_in_its_place_leaves_nothing_behind(url, later, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = standing(url)
    later()
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="to keep a copy of .*No space left"):
        migrate(url)
    assert standing(url) == before
    assert copies(tmp_path) == []
