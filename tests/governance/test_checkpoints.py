"""Checkpoints in files: read strictly, and never replaced by one of a shorter or another chain."""

from pathlib import Path

import pytest

from assay.governance import read_checkpoint, write_checkpoint
from assay.records.errors import LedgerError
from assay.storage import Ledger
from assay.storage.ledger import GENESIS, Checkpoint


def test_a_checkpoint_is_read_back_and_moves_on_with_its_chain(tmp_path: Path) -> None:
    ledger, file = Ledger(tmp_path / "ledger.db"), tmp_path / "elsewhere" / "head.json"
    assert write_checkpoint(ledger, file) == Checkpoint(0, GENESIS)
    entry = ledger.append("one")
    assert write_checkpoint(ledger, file) == Checkpoint(1, entry.hash)
    assert read_checkpoint(file) == Checkpoint(1, entry.hash)


def test_a_checkpoint_is_not_replaced_by_one_of_another_chain(tmp_path: Path) -> None:
    ledger, file = Ledger(tmp_path / "ledger.db"), tmp_path / "head.json"
    ledger.append("one")
    ledger.append("two")
    kept = write_checkpoint(ledger, file)
    for name, events in (("shorter", ["one"]), ("other", ["one", "too", "three"])):
        other = Ledger(tmp_path / f"{name}.db")
        for event in events:
            other.append(event)
        with pytest.raises(LedgerError, match="witnessed"):
            write_checkpoint(other, file)
        assert read_checkpoint(file) == kept


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        f'{{"size": -1, "head": "{GENESIS}"}}',
        f'{{"size": "1", "head": "{GENESIS}"}}',
        f'{{"size": true, "head": "{GENESIS}"}}',
        '{"size": 1, "head": "x"}',
        '{"size": 1}',
    ],
)
def test_a_file_that_holds_no_checkpoint_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "head.json"
    file.write_text(content)
    with pytest.raises(LedgerError, match="a checkpoint in"):
        read_checkpoint(file)
