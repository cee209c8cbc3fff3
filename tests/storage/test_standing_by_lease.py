"""Revision 0002: what leases of before said of a person's standing, they say after it; queues go on as they were."""

from datetime import UTC, datetime

import pytest
from schema_cases import execute, use_the_first_alone

from assay.storage import RecordStore, schema
from assay.storage.leases import Leases, Work
from assay.storage.migrating import migrate

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ITEMS = {  # wanted, taken, is_full, is_check
    "full": "2, 2, true, false",
    "open": "2, 1, false, false",
    "held": "2, 1, false, false",
    "check": "NULL, 1, false, true",
    "new": "2, 0, false, false",
}
LEASES = [
    "'ada', 'full', 0, 'answered', 1, 1, NULL",
    "'bob', 'full', 0, 'answered', 1, 1, NULL",
    "'ada', 'open', 0, 'answered', 2, 2, NULL",
    "'ada', 'check', 0, 'answered', 3, 3, NULL",
    "'ada', 'full', 1, 'answered', 4, 4, NULL",
    "'ada', 'held', 0, 'held', 5, NULL, 9e9",
]
"""Annotator, item, round, state, turn, done, until."""


@pytest.fixture
def of_before(tmp_path, tmp_path_factory, database, monkeypatch):
    """URL of a database from before there were revisions, without what came last to it, and with a queue."""
    url = database or f"sqlite:///{tmp_path / 'assay.db'}"
    with monkeypatch.context() as before:
        use_the_first_alone(before, tmp_path_factory.mktemp("revisions") / "first")
        RecordStore(url).close()
    execute(url, "DROP TABLE work_level", "DROP TABLE level_tally", "DROP INDEX lease_by_turn")
    execute(url, "DROP TABLE alembic_version", "INSERT INTO queue_tally VALUES ('q', 4, 1)")
    for place, (item, rest) in enumerate(ITEMS.items()):
        execute(url, f"INSERT INTO work VALUES ('q', '{item}', 'train', {place}, {rest})")  # noqa: S608 -- of this file
    for lease in LEASES:
        execute(url, f"INSERT INTO lease VALUES ('q', {lease}, NULL)")  # noqa: S608 -- the same
    return url


def test_everybody_has_come_as_far_as_before(of_before):
    assert migrate(of_before)[:2] == ("0001", schema.newest())
    records = RecordStore(of_before)
    leases = Leases(records)
    assert leases.standing("q", "ada") == (2, 4)
    assert leases.standing("q", "bob") == (1, 4)
    assert leases.standing("q", "eve") == (0, 3)
    records.close()


def test_a_queue_goes_on(of_before):
    migrate(of_before)
    records = RecordStore(of_before)
    leases = Leases(records)
    assert leases.take("q", "ada", now=NOW).item == "new"
    assert leases.take("q", "bob", now=NOW, item="open") is not None
    assert leases.standing("q", "ada") == (2, 4)
    assert leases.standing("q", "eve") == (0, 2)
    assert leases.release("q", "bob") == 1
    assert leases.standing("q", "eve") == (0, 3)
    assert not leases.has_levels("q")
    leases.add("q", [Work("strong", "train", level=2)], wanted=2)
    assert (leases.standing("q", "eve", limit=0).total, leases.standing("q", "eve").total) == (3, 4)
    records.close()
