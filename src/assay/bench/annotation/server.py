"""Server: the annotation site as `assay feedback serve` serves it, in processes of its own that can be killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from assay.records.errors import StorageError, explain

HOST = "127.0.0.1"
START_S = 120.0


class Server:
    """The site's processes; `log` is what they wrote."""

    def __init__(self, workspace: Path, campaign: str, *, workers: int, log: Path) -> None:
        self.port = _free_port()
        self.log = log
        self._command = [sys.executable, "-m", "assay", "feedback", "serve", "--campaign", campaign]
        self._command += ["--workspace", str(workspace), "--port", str(self.port), "--workers", str(workers)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and wait until it answers; returns the seconds that took. Raises StorageError when it does not."""
        started = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                self._command, stdout=log, stderr=log, start_new_session=True
            )
        while time.monotonic() - started < START_S and self._process.poll() is None:
            if self._answers():
                return time.monotonic() - started
            time.sleep(0.05)
        self.kill()
        words = " ".join(self.log.read_text(errors="replace").split()[-40:])
        raise StorageError(explain(expected="the site to start", got=words, do="run `assay feedback serve` by hand"))

    def kill(self) -> None:
        """End every process of it at once, as kill -9 does."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def cpu_s(self) -> float:
        """CPU seconds that its processes have used so far, of those that live; Linux tells."""
        group = None if self._process is None else self._process.pid
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # a process that has just ended
                fields = stat.read_text().rpartition(")")[2].split()
                ticks += (int(fields[11]) + int(fields[12])) * (int(fields[2]) == group)
        return ticks / os.sysconf("SC_CLK_TCK")

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://{HOST}:{self.port}/", timeout=5) as answer:  # noqa: S310 (our own address)
                return answer.status == 200
        except (URLError, OSError):
            return False


@contextmanager
def serving(workspace: Path, campaign: str, *, workers: int, log: Path) -> Iterator[Server]:
    """A site that answers; it is gone when the block ends."""
    server = Server(workspace, campaign, workers=workers, log=log)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
