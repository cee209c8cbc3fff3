"""Turns: a writer waits for the one before it, longer than SQLite would, and a line that cannot be opened is told."""

import threading
from datetime import UTC, datetime

import pytest

from assay.records.conversation import user_prompt
from assay.records.errors import StorageError
from assay.records.judgement import Demonstration
from assay.storage import RecordStore, wal
from assay.storage.dialect import writing
from assay.storage.turns import turn


def a_demonstration(text):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Demonstration(annotator="anna", prompt=user_prompt("hello"), completion=text, created_at=now)


def test_a_writer_waits_longer_than_sqlite_does(tmp_path, monkeypatch):
    monkeypatch.setattr(wal, "WAIT_S", 0.02)
    store = RecordStore(f"sqlite:///{tmp_path / 'a.db'}")
    stored = threading.Event()

    def put():
        store.put(a_demonstration("late"))
        stored.set()

    with writing(store.engine) as connection:
        connection.exec_driver_sql("CREATE TABLE other (name TEXT)")
        other = threading.Thread(target=put)
        other.start()
        assert not stored.wait(0.3)
    assert stored.wait(20)
    other.join()
    assert store.count(Demonstration) == 1
    store.close()


def test_a_turn_ends_with_its_block_whatever_happens_in_it(tmp_path):
    with pytest.raises(KeyError), turn(str(tmp_path / "a.db")):
        raise KeyError
    with turn(str(tmp_path / "a.db")):
        pass


def test_a_line_that_cannot_be_opened_is_told(tmp_path):
    store = RecordStore(f"sqlite:///{tmp_path / 'a.db'}")
    (tmp_path / "a.db.line").unlink()
    (tmp_path / "a.db.line").mkdir()
    with pytest.raises(StorageError, match="to write beside .*a.db"):
        store.put(a_demonstration("lost"))
    assert store.count(Demonstration) == 0
    store.close()
