"""Record store: put is idempotent, put_all all or nothing, other schemas and unreadable files are clear errors."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import event, text

from assay.records.conversation import user_prompt
from assay.records.errors import StorageError
from assay.records.judgement import Demonstration
from assay.records.release import Signal
from assay.storage import RecordStore
from assay.storage.database import LONGEST_KEPT
from assay.storage.leases import Leases

NOW = datetime(2026, 11, 24, tzinfo=UTC)


OPENER = """
import sys
from assay.storage import RecordStore
from assay.storage.leases import Leases
print("ready", flush=True)
sys.stdin.readline()
for number in range(8):
    RecordStore(f"sqlite:///{sys.argv[1]}/{number}.db").close()
"""


FULL = {
    "sqlite": [
        "CREATE TRIGGER full BEFORE INSERT ON record WHEN NEW.body LIKE '%number 1200\"%'"
        " BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'database or disk is full'; END$$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON record FOR EACH ROW"
        " WHEN (NEW.body LIKE '%%number 1200\"%%') EXECUTE FUNCTION refuse()",
    ],
}
"""Statements after which the row of `number 1200` cannot be stored."""


def a_demonstration(text: str, *, now: datetime = NOW) -> Demonstration:
    return Demonstration(annotator="anna", prompt=user_prompt("hello"), completion=text, created_at=now)


@pytest.fixture
def store(tmp_path: Path, database: str | None) -> Iterator[RecordStore]:
    opened = RecordStore(database or f"sqlite:///{tmp_path / 'assay.db'}")
    yield opened
    opened.close()


def set_body(store: RecordStore, body: str) -> None:
    """Change what a row holds behind the store's back."""
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE record SET body = :body"), {"body": body})


def execute(store_path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(store_path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def test_a_record_comes_back_as_it_was(store: RecordStore) -> None:
    record = a_demonstration('ü "quotes"\n\x00 and\u2028 more 🙂')
    assert store.get(Demonstration, store.put(record)) == record


def test_what_a_row_says_now_is_read_however_often_it_was_read_before(store: RecordStore) -> None:
    store.put(a_demonstration("a"))
    assert store.all(Demonstration)[0] is store.all(Demonstration)[0]
    other = a_demonstration("b")
    set_body(store, other.model_dump_json())
    assert store.all(Demonstration) == [other]
    set_body(store, "{}")
    with pytest.raises(StorageError, match="an unreadable row"):
        store.all(Demonstration)


def test_a_long_record_is_not_kept_in_memory(store: RecordStore) -> None:
    store.put(a_demonstration("a" * LONGEST_KEPT))
    one, again = store.all(Demonstration)[0], store.all(Demonstration)[0]
    assert one == again
    assert one is not again


def test_putting_twice_is_putting_once_even_at_another_time(store: RecordStore) -> None:
    first, again = a_demonstration("a"), a_demonstration("a", now=NOW + timedelta(days=1))
    assert store.put(first) == store.put(again)
    assert store.all(Demonstration) == [first]
    assert (
        store.put_all([(first, None, None), (a_demonstration("b"), None, None), (a_demonstration("b"), None, None)])
        == 1
    )


def test_put_all_stores_everything_or_nothing(store: RecordStore) -> None:
    with store.engine.begin() as connection:
        for statement in FULL[store.engine.dialect.name]:
            connection.exec_driver_sql(statement)
    rows = [(a_demonstration(f"number {number}"), "train", None) for number in range(1500)]
    with pytest.raises(StorageError, match="disk is full.*nothing was half-written"):
        store.put_all(rows)
    assert store.count(Demonstration) == 0
    assert store.put_all(rows[:1200]) == 1200


def test_records_are_found_by_split_subject_and_order(store: RecordStore) -> None:
    records = [a_demonstration(text) for text in "abc"]
    store.put_all([(records[0], "train", "s1"), (records[1], "held_out", "s1"), (records[2], "train", "s2")])
    assert store.all(Demonstration, split="train") == [records[0], records[2]]
    assert store.all(Demonstration, subject="s1") == records[:2]
    assert store.all(Demonstration, split="held_out", subject="s2") == []
    assert store.latest(Demonstration) == records[2]
    assert store.latest(Demonstration, subject="s1") == records[1]
    assert store.all(Demonstration, newest=2) == records[1:]
    assert store.all(Demonstration, split="train", newest=1) == [records[2]]
    assert store.latest(Signal) is None
    assert store.count(Demonstration, split="train") == 2
    assert store.kinds() == {"demonstration": 3}


def test_a_prefix_finds_the_one_record_that_starts_with_it(store: RecordStore) -> None:
    records = [a_demonstration(str(number)) for number in range(40)]
    store.put_all([(record, None, None) for record in records])
    assert store.get(Demonstration, records[7].short_id) == records[7]
    doubled = next(digit for digit in "0123456789abcdef" if sum(r.id.startswith(digit) for r in records) > 1)
    with pytest.raises(StorageError, match="several"):
        store.get(Demonstration, doubled)
    for absent in ("zzz", "%", "_", records[0].id + "0"):
        with pytest.raises(StorageError, match="got none"):
            store.get(Demonstration, absent)
    with pytest.raises(StorageError, match="one signal"):
        store.get(Signal, records[7].id)


def test_a_record_stays_in_its_split_and_no_other_row_is_looked_up_for_that(store: RecordStore) -> None:
    records = [a_demonstration(str(number)) for number in range(600)]
    store.put_all([(one, "train", None) for one in records])
    asked: list[str] = []

    def note(*told: object) -> None:
        asked.append(str(told[2]))

    def looked_up() -> list[str]:
        return [one for one in asked if one.startswith("SELECT record.")]

    event.listen(store.engine, "before_cursor_execute", note)
    assert store.put_all([(one, None, None) for one in [*records, a_demonstration("new")]]) == 1
    assert looked_up() == []
    assert store.put_all([(one, "train", None) for one in records]) == 0
    assert [("record.kind =" in one, "record.id IN" in one) for one in looked_up()] == [(True, True)] * 2
    moved = [(one, "held_out" if one is records[555] else "train", None) for one in records]
    with pytest.raises(StorageError, match=f"{records[555].short_id} in 'held_out'; got it in split 'train' already"):
        store.put_all(moved)


def test_several_records_come_in_the_order_in_which_they_are_asked_for(store: RecordStore) -> None:
    records = [a_demonstration(text) for text in "abcd"]
    store.put_all([(one, None, None) for one in records])
    wanted = [records[2], records[0], records[2]]
    assert store.some(Demonstration, [one.id for one in wanted]) == wanted
    assert store.some(Demonstration, []) == []
    with pytest.raises(StorageError, match="1 missing"):
        store.some(Demonstration, [records[1].id, "f" * 64])


def test_a_database_of_another_schema_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "assay.db"
    RecordStore(f"sqlite:///{path}").close()
    execute(path, "UPDATE schema_version SET version = 2")
    execute(path, "DROP TABLE alembic_version")
    with pytest.raises(StorageError, match="schema version 1; got version 2"):
        RecordStore(f"sqlite:///{path}")


@pytest.mark.parametrize("content", [b"not a database" * 500, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_an_unreadable_database_file_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "assay.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="expected to read and write"):
        RecordStore(f"sqlite:///{path}")


@pytest.mark.parametrize("url", ["nonsense", "mysql://nowhere/x", ""])
def test_a_url_that_is_no_database_is_a_clear_error(url: str) -> None:
    with pytest.raises(StorageError, match="a database URL"):
        RecordStore(url)


@pytest.mark.parametrize("body", ["{", "[]", '{"annotator": "anna"}'])
def test_an_unreadable_row_is_a_clear_error(store: RecordStore, body: str) -> None:
    record_id = store.put(a_demonstration("a"))
    set_body(store, body)
    with pytest.raises(StorageError, match="unreadable row"):
        store.get(Demonstration, record_id)


def test_a_row_changed_in_place_is_refused_by_its_identity(store: RecordStore) -> None:
    record_id = store.put(a_demonstration("a"))
    set_body(store, a_demonstration("b").model_dump_json())
    with pytest.raises(StorageError, match="content"):
        store.get(Demonstration, record_id)


def test_a_record_that_cannot_be_written_as_text_is_a_clear_error(store: RecordStore) -> None:
    broken = json.loads('"half an emoji \\ud83d"')
    with pytest.raises(StorageError):
        store.put(a_demonstration(broken))
    with pytest.raises(StorageError):
        store.put(Signal(release="r", name="n", value=float("nan"), bucket="b", created_at=NOW))
    assert store.kinds() == {}


def test_a_record_is_not_silently_kept_in_another_split_than_asked_for(store: RecordStore) -> None:
    store.put(a_demonstration("a"), split="train")
    with pytest.raises(StorageError, match="train"):
        store.put(a_demonstration("a"), split="held_out")


def test_a_database_of_another_schema_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "assay.db"
    execute(path, "CREATE TABLE schema_version (version INTEGER PRIMARY KEY)")
    execute(path, "INSERT INTO schema_version VALUES (9)")
    with pytest.raises(StorageError, match="version 9"):
        RecordStore(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["schema_version"]
    connection.close()


def test_two_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENER, str(tmp_path)]
    openers = [subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    for opener in openers:
        assert opener.stdout is not None
        opener.stdout.readline()
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("\n")
        opener.stdin.flush()
    assert [opener.communicate(timeout=60)[1] for opener in openers] == ["", ""]


def test_many_may_open_a_new_database_at_once_and_put_the_same_records(tmp_path: Path, database: str | None) -> None:
    url = database or f"sqlite:///{tmp_path / 'assay.db'}"
    rows = [(a_demonstration(str(number)), None, None) for number in range(2500)]
    together = Barrier(4)

    def open_and_put(turn: int) -> int:
        together.wait()
        store = Leases(RecordStore(url)).records
        together.wait()
        added = store.put_all(rows if turn % 2 else rows[::-1])
        store.close()
        return added

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(open_and_put, range(4))) == [0, 0, 0, 2500]


def test_an_error_tells_no_password(tmp_path: Path) -> None:
    for url in (f"postgresql+psycopg://ada:geheim@/x?host={tmp_path}", "mysql://ada:geheim@nowhere/x"):
        with pytest.raises(StorageError) as caught:
            RecordStore(url)
        assert "geheim" not in str(caught.value)
