"""Ledger: any changed, dropped, swapped or cut-off entry is caught; writers never fork; a killed one breaks nothing."""

import multiprocessing
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.records.errors import LedgerError
from assay.storage import Ledger
from assay.storage.ledger import GENESIS, Checkpoint, entry_hash

ENTRIES = 5
COLUMNS = ["seq", "prev", "hash", "body"]


FORK = multiprocessing.get_context("fork")


def write(path: Path, who: str, count: int, told: Connection) -> None:
    """Append entries and tell the number of each that is kept."""
    ledger = Ledger(path)
    for number in range(count):
        told.send(ledger.append("write", who=who, number=number).seq)


def start_writer(path: Path, who: str, count: int) -> tuple[ForkProcess, Connection]:
    """A writer in a process of its own, and the end at which it is heard."""
    heard, told = FORK.Pipe(duplex=False)
    writer = FORK.Process(target=write, args=(path, who, count, told))
    writer.start()
    told.close()
    return writer, heard


def all_heard(writer: ForkProcess, heard: Connection) -> Iterator[int]:
    """What a writer still says until it ends."""
    with heard, suppress(EOFError):
        while True:
            yield heard.recv()
    writer.join(timeout=60)


def a_ledger(path: Path) -> Ledger:
    ledger = Ledger(path)
    for number in range(ENTRIES):
        ledger.append("event", number=number, name=f"näme {number}")
    return ledger


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_ledger(tmp_path_factory.mktemp("template") / "ledger.db").path


def tampered(template: Path, *statements: tuple[str, tuple[object, ...]]) -> Ledger:
    path = template.with_name("tampered.db")
    shutil.copy(template, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement, values in statements:
            connection.execute(statement, values)
    return Ledger(path)


def test_the_hash_is_the_documented_one() -> None:
    assert (
        entry_hash(1, GENESIS, b'{"event":"a"}') == "179956cfa865ebac7bf6558e800472e0cee02d1166bb3708062a23b520d7594f"
    )


def test_entries_are_read_back_in_order_and_by_event(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path / "ledger.db")
    ledger.append("other", flags=[True, None, "ü"])
    assert [entry.seq for entry in ledger.entries()] == [1, 2, 3, 4, 5, 6]
    assert ledger.entries()[0].prev == GENESIS
    assert [entry.value for entry in ledger.entries("other")] == [{"event": "other", "flags": [True, None, "ü"]}]
    assert ledger.verify() == ledger.checkpoint() == Checkpoint(6, ledger.entries()[-1].hash)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seq=st.integers(1, ENTRIES), column=st.sampled_from(COLUMNS), place=st.integers(0, 999), mask=st.integers(1, 255)
)
def test_any_flipped_byte_in_any_column_of_any_entry_is_caught(
    template: Path, seq: int, column: str, place: int, mask: int
) -> None:
    connection = sqlite3.connect(template)
    old = connection.execute(f"SELECT CAST({column} AS BLOB) FROM entry WHERE seq = ?", [seq]).fetchone()[0]  # noqa: S608
    connection.close()
    if column == "seq":
        new: object = seq ^ (mask << (8 * (place % 7)))
        ledger = tampered(
            template,
            ("DELETE FROM entry WHERE seq = ? AND ? != seq", (new, seq)),
            ("UPDATE entry SET seq = ? WHERE seq = ?", (new, seq)),
        )
    else:
        at = place % len(old)
        new = old[:at] + bytes([old[at] ^ mask]) + old[at + 1 :]
        kind = "BLOB" if column == "body" else "TEXT"
        ledger = tampered(template, (f"UPDATE entry SET {column} = CAST(? AS {kind}) WHERE seq = ?", (new, seq)))  # noqa: S608
    with pytest.raises(LedgerError):
        ledger.verify()


@pytest.mark.parametrize("seq", range(1, ENTRIES))
def test_a_deleted_entry_is_caught(template: Path, seq: int) -> None:
    with pytest.raises(LedgerError, match=f"at entry {seq} "):
        tampered(template, ("DELETE FROM entry WHERE seq = ?", (seq,))).verify()


def test_a_deleted_entry_is_caught_even_when_the_rest_is_renumbered(template: Path) -> None:
    close_the_gap = ("UPDATE entry SET seq = seq - 1 WHERE seq > 2", ())
    with pytest.raises(LedgerError, match="at entry 2 .*parent hash"):
        tampered(template, ("DELETE FROM entry WHERE seq = 2", ()), close_the_gap).verify()


def test_swapped_entries_are_caught(template: Path) -> None:
    swap = [("UPDATE entry SET seq = ? WHERE seq = ?", (new, old)) for old, new in ((2, 99), (3, 2), (99, 3))]
    with pytest.raises(LedgerError, match="at entry 2 "):
        tampered(template, *swap).verify()
    bodies = (
        "UPDATE entry SET body = (SELECT body FROM entry AS o WHERE o.seq = 5 - entry.seq) WHERE seq IN (2, 3)",
        (),
    )
    with pytest.raises(LedgerError, match="at entry 2 .*content"):
        tampered(template, bodies).verify()


def test_a_truncated_chain_is_refused_against_a_checkpoint(template: Path) -> None:
    witness = Ledger(template).checkpoint()
    cut = tampered(template, ("DELETE FROM entry WHERE seq > 3", ()))
    assert cut.verify().size == 3
    with pytest.raises(LedgerError, match="at entry 4 .*5 entries were witnessed"):
        cut.verify(witness)
    for number in range(3):
        cut.append("made up", number=number)
    with pytest.raises(LedgerError, match="another hash than the witnessed one"):
        cut.verify(witness)
    dropped = tampered(template, ("DROP TABLE entry", ()))
    with pytest.raises(LedgerError, match="witnessed"):
        dropped.verify(witness)


def test_a_chain_that_grew_still_holds_its_old_checkpoint(template: Path) -> None:
    witness = Ledger(template).checkpoint()
    ledger = tampered(template)
    assert ledger.verify(witness) == witness
    ledger.append("more")
    assert ledger.verify(witness).size == ENTRIES + 1


def test_a_fork_cannot_be_stored(template: Path) -> None:
    entry = Ledger(template).entries()[2]
    with pytest.raises(sqlite3.IntegrityError, match="entry.prev"):
        tampered(template, ("INSERT INTO entry VALUES (9, ?, 'x', 'y')", (entry.prev,)))


def test_four_processes_append_two_hundred_entries_without_a_fork(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    writers = [start_writer(path, name, 50) for name in "abcd"]
    seqs = [seq for writer in writers for seq in all_heard(*writer)]
    assert [writer.exitcode for writer, _ in writers] == [0, 0, 0, 0]
    assert sorted(seqs) == list(range(1, 201))
    assert Ledger(path).verify().size == 200
    for name in "abcd":
        values = [entry.value for entry in Ledger(path).entries() if entry.value["who"] == name]
        assert [value["number"] for value in values] == list(range(50))


def test_a_writer_killed_in_mid_write_breaks_nothing_and_loses_nothing_it_was_told_of(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    for round_number in range(5):
        writer, heard = start_writer(path, str(round_number), 1_000_000)
        for _ in range(10 + round_number):
            acknowledged = heard.recv()
        writer.kill()
        for seq in all_heard(writer, heard):
            acknowledged = seq
        assert writer.exitcode == -signal.SIGKILL
        assert Ledger(path).verify().size >= acknowledged
    assert Ledger(path).append("after").seq == Ledger(path).checkpoint().size


@pytest.mark.parametrize("value", [1.0, float("nan"), [1, [2.5]], {"deep": [{"er": 0.1}]}, (0.5,)])
def test_floats_are_refused_at_any_depth_and_nothing_is_written(tmp_path: Path, value: object) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    with pytest.raises(LedgerError, match="write it as text"):
        ledger.append("event", value=value)
    assert ledger.entries() == []


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger(path)


@pytest.mark.parametrize("value", ["text instead of bytes", None, -1, 2**62, 0.5])
def test_a_body_of_another_type_is_caught(template: Path, value: object) -> None:
    ledger = tampered(
        template,
        ("ALTER TABLE entry RENAME TO old", ()),
        ("CREATE TABLE entry (seq INTEGER PRIMARY KEY, prev TEXT, hash TEXT, body BLOB)", ()),
        ("INSERT INTO entry SELECT * FROM old", ()),
        ("UPDATE entry SET body = ? WHERE seq = 2", (value,)),
    )
    with pytest.raises(LedgerError, match="at entry 2 "):
        ledger.verify()


def test_reading_one_event_from_an_unreadable_body_is_a_clear_error(template: Path) -> None:
    for body in (b"{", b"\xff", b"[1]"):
        ledger = tampered(template, ("UPDATE entry SET body = ? WHERE seq = 2", (body,)))
        with pytest.raises(LedgerError):
            ledger.entries("event")


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes"])
def test_values_that_json_does_not_know_are_refused_with_a_clear_error(tmp_path: Path, value: object) -> None:
    with pytest.raises(LedgerError):
        Ledger(tmp_path / "ledger.db").append("event", value=value)
