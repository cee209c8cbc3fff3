"""Artifacts: half-written ones are never seen, tampered ones refused, and a full disk leaves nothing behind."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from assay.records.errors import StorageError
from assay.storage import ArtifactStore, Ledger
from assay.storage.artifacts import directory_hash, write_atomically, write_once

LIMITED = """
import resource, signal, sys
from pathlib import Path
from assay.records.errors import StorageError
from assay.storage import ArtifactStore, Ledger
from assay.storage.artifacts import write_atomically
root = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store, faults = ArtifactStore(root / "artifacts"), []
ledger = Ledger(root / "ledger.db")
def grow():
    for number in range(1000):
        ledger.append("event", text="x" * 1000)
for act in (
    lambda: store.add(lambda folder: (folder / "a").write_bytes(b"x" * 200_000)),
    lambda: store.add_json("x" * 200_000),
    lambda: write_atomically(root / "files" / "file", b"x" * 200_000),
    grow,
):
    try:
        act()
    except StorageError as error:
        print(str(error).replace(chr(10), " "))
kept = store.add_json({"fits": True})
print(kept)
"""


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_an_artifact_is_named_by_its_content_and_kept_once(store: ArtifactStore, tmp_path: Path) -> None:
    first = store.add(lambda folder: (folder / "a.txt").write_text("hello"))
    again = store.add(lambda folder: (folder / "a.txt").write_text("hello"))
    other = store.add(lambda folder: (folder / "b.txt").write_text("hello"))
    assert first == again != other
    assert names(tmp_path / "artifacts") == sorted([first, other])
    assert (store.path(first) / "a.txt").read_text() == "hello"
    store.verify(first)


def test_two_processes_that_keep_the_same_content_at_once_both_succeed(store, tmp_path, monkeypatch) -> None:
    def flushed_while_another_process_is_faster(new: Path) -> None:
        shutil.copytree(new, new.parent / directory_hash(new))

    monkeypatch.setattr("assay.storage.artifacts._flush", flushed_while_another_process_is_faster)
    name = store.add_json({"a": 1})
    assert store.read_json(name) == {"a": 1}
    assert [path.name for path in store.path(name).parent.iterdir()] == [name]


def test_a_json_value_comes_back(store: ArtifactStore) -> None:
    value = {"b": [1, 2.5, None], "a": "ü"}
    assert store.read_json(store.add_json(value)) == value


def test_a_half_written_artifact_is_never_seen(store: ArtifactStore, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        assert not [name for name in names(tmp_path / "artifacts") if not name.startswith(".")]
        raise RuntimeError("the writer failed")

    with pytest.raises(RuntimeError, match="the writer failed"):
        store.add(fail)
    assert names(tmp_path / "artifacts") == []


def test_what_a_killed_writer_left_is_cleaned_and_finished_work_is_kept(store: ArtifactStore, tmp_path: Path) -> None:
    kept = store.add_json(1)
    code = (
        "import os, sys; from pathlib import Path; from assay.storage import ArtifactStore\n"
        "ArtifactStore(Path(sys.argv[1])).add(lambda f: ((f / 'half').write_text('x'), os.kill(os.getpid(), 9)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "artifacts")], check=False)
    assert done.returncode == -9
    assert len(names(tmp_path / "artifacts")) == 2
    with pytest.raises(StorageError):
        store.path("half")
    store.clean()
    assert names(tmp_path / "artifacts") == [kept]


def test_a_tampered_artifact_is_refused(store: ArtifactStore) -> None:
    def write(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_bytes(b"abc")
        (folder / "b").write_bytes(b"def")

    def change(path: Path) -> None:
        (path / "b").write_bytes(b"deg")

    def rename(path: Path) -> None:
        (path / "b").rename(path / "c")

    def add(path: Path) -> None:
        (path / "new").write_bytes(b"")

    def remove(path: Path) -> None:
        (path / "sub" / "a").unlink()

    for tamper in (change, rename, add, remove):
        name = store.add(write)
        tamper(store.path(name))
        with pytest.raises(StorageError, match="do not use it"):
            store.verify(name)
        for path in (store.path(name) / "c", store.path(name) / "new"):
            path.unlink(missing_ok=True)
        write_back = store.path(name)
        (write_back / "sub" / "a").write_bytes(b"abc")
        (write_back / "b").write_bytes(b"def")
        store.verify(name)


def test_bytes_that_move_between_name_and_content_change_the_hash(tmp_path: Path) -> None:
    for number, (file, content) in enumerate((("ab", "c"), ("a", "bc"))):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / file).write_text(content)
    assert directory_hash(tmp_path / "0") != directory_hash(tmp_path / "1")


def test_a_missing_artifact_is_a_clear_error(store: ArtifactStore) -> None:
    for name in ("0" * 64, ""):
        with pytest.raises(StorageError, match="no such directory"):
            store.path(name)


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    for line in lines[:3]:
        assert "File too large" in line
        assert "free disk space" in line
    assert "nothing was written" in lines[3]
    assert names(tmp_path / "artifacts") == [lines[4]]
    assert names(tmp_path / "files") == []
    size = Ledger(tmp_path / "ledger.db").verify().size
    assert 0 < size < 1000


def test_a_tiny_file_system_that_fills_up_is_a_clear_error(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a file system")
    try:
        store = ArtifactStore(tmp_path / "artifacts")
        with pytest.raises(StorageError, match="No space left"):
            store.add(lambda folder: (folder / "big").write_bytes(b"x" * 10**6))
        assert names(tmp_path / "artifacts") == []
        with pytest.raises(StorageError, match="No space left"):
            write_atomically(tmp_path / "file", b"x" * 10**6)
        assert names(tmp_path) == ["artifacts"]
        store.verify(store.add_json("fits"))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_an_atomic_write_replaces_the_file_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new" / "file", b"one")
    write_atomically(tmp_path / "new" / "file", b"two")
    assert (tmp_path / "new" / "file").read_bytes() == b"two"
    assert names(tmp_path / "new") == ["file"]


def test_what_many_write_once_at_the_same_time_is_one_thing_to_all_of_them(tmp_path: Path) -> None:
    together = Barrier(8)

    def write(number: int) -> bytes:
        together.wait()
        return write_once(tmp_path / "key", bytes([number]) * 32)

    with ThreadPoolExecutor(8) as pool:
        told = set(pool.map(write, range(8)))
    assert told == {(tmp_path / "key").read_bytes()}
    assert [file.name for file in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_folder_in_place_of_the_store_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="folder's rights"):
        ArtifactStore(tmp_path / "file")


@pytest.mark.parametrize("name", ["..", ".", "/", "../artifacts", ".new-x"])
def test_a_name_that_is_no_hash_opens_nothing(store: ArtifactStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "artifacts" / ".new-x").mkdir()
    with pytest.raises(StorageError):
        store.path(name)


def test_a_link_is_refused_because_its_target_may_change(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    for target in (tmp_path / "nowhere", tmp_path / "outside"):
        with pytest.raises(StorageError, match="link"):
            store.add(lambda folder, target=target: (folder / "link").symlink_to(target))


def test_reading_json_from_something_else_is_a_clear_error(store: ArtifactStore) -> None:
    empty = store.add(lambda folder: (folder / "other").write_text(""))
    broken = store.add(lambda folder: (folder / "data.json").write_text("{"))
    for name in (empty, broken):
        with pytest.raises(StorageError):
            store.read_json(name)
