"""Readers of an SQLite file: kept open, never in the way of a writer, and gone with the store."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event, text

from assay.records.conversation import user_prompt
from assay.records.errors import StorageError
from assay.records.judgement import Item
from assay.storage import RecordStore

FILES = Path("/proc/self/fd")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'assay.db'}"


@pytest.fixture
def store(url):
    store = RecordStore(url)
    yield store
    store.close()


@pytest.fixture
def item(now):
    return Item(campaign="c", prompt=user_prompt("why?"), first="a", second="b", created_at=now)


def test_reads_share_one_connection_where_none_is_at_once_with_another(url):
    made = []
    store = RecordStore(url)
    event.listen(store.engine, "connect", lambda *_: made.append(1))
    for _ in range(20):
        assert store.count(Item) == 0
    assert len(made) <= 1
    store.close()


def test_a_reader_sees_at_once_what_another_store_wrote(url, store, item):
    assert store.latest(Item) is None
    other = RecordStore(url)
    other.put(item)
    assert store.latest(Item) == item
    other.close()


def test_readers_of_many_threads_do_not_mix(store, now):
    for number in range(8):
        prompt = user_prompt(f"why {number}?")
        store.put(Item(campaign="c", prompt=prompt, first="a", second="b", created_at=now), subject=str(number))

    def asks(number):
        return {store.latest(Item, subject=str(number)).prompt[0].content for _ in range(50)}

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(asks, range(8))) == [{f"why {number}?"} for number in range(8)]


def test_an_idle_reader_keeps_nobody_from_emptying_the_log(url, store, item):
    store.put(item)
    assert store.all(Item) == [item]
    with store.engine.connect() as connection:
        is_kept_waiting = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).first()[0]
    assert not is_kept_waiting
    assert not Path(f"{store.engine.url.database}-wal").stat().st_size


def test_after_a_read_that_failed_the_next_one_answers(store, item):
    store.put(item)
    with store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE record RENAME TO hidden"))
    for _ in range(3):
        with pytest.raises(StorageError, match="no such table"):
            store.count(Item)
    with store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE hidden RENAME TO record"))
    assert store.count(Item) == 1


@pytest.mark.skipif(not FILES.exists(), reason="Linux tells which files are open")
def test_a_closed_store_holds_no_file(url, tmp_path):
    def held():
        names = [os.readlink(FILES / one) for one in os.listdir(FILES) if (FILES / one).is_symlink()]
        return [name for name in names if name.startswith(str(tmp_path))]

    store = RecordStore(url)
    store.count(Item)
    assert held()
    store.close()
    assert not held()
    assert store.count(Item) == 0
    store.close()


def test_a_database_in_memory_stays_one(item):
    store = RecordStore("sqlite://")
    store.put(item)
    assert store.all(Item) == [item]
    assert store.count(Item) == 1
    store.close()
