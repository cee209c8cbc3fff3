"""Run lock: one process at a time, and a killed holder frees the directory."""

import subprocess
import sys
from pathlib import Path

import pytest

from assay.records.errors import BusyError, StorageError
from assay.storage.lock import run_lock

HOLDER = """
import sys
from pathlib import Path
from assay.storage.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_process_is_told_who_holds_the_directory_and_a_killed_holder_frees_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"process {holder.pid};"), run_lock(tmp_path / "run"):
            pass
        holder.kill()
    with run_lock(tmp_path / "run"):
        pass


def test_the_lock_is_free_after_the_block_whatever_happened_in_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="inside"), run_lock(tmp_path):
        raise RuntimeError("inside")
    with run_lock(tmp_path), pytest.raises(BusyError, match="to be free"), run_lock(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a writable directory"), run_lock(tmp_path / "file"):
        pass


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / ".lock").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="free disk space"), run_lock(tmp_path):
        pytest.fail("the block must not run")
