"""PostgreSQL for tests: a server that ASSAY_TEST_POSTGRES names, or one of this session's own in a new directory."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PROGRAMS = Path("/usr/lib/postgresql")
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "16MB"}
START_S = 60
_schemas = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_server():
    """URL of a server that tests may fill; skips where there is none and none can be started."""
    psycopg = pytest.importorskip("psycopg", reason="no psycopg")
    if url := os.environ.get("ASSAY_TEST_POSTGRES"):
        yield url
        return
    programs = max(PROGRAMS.glob("*/bin"), key=lambda path: int(path.parent.name), default=None)
    if programs is None:
        pytest.skip("no PostgreSQL")
    with _directory() as directory, _running(programs, directory, psycopg):
        yield f"postgresql+psycopg://postgres@/postgres?host={directory}"


@pytest.fixture
def postgresql(postgresql_server):
    """URL of an empty database: a schema of its own on the server."""
    from sqlalchemy import create_engine, make_url, text

    name = f"test_{os.getpid()}_{next(_schemas)}"
    engine = create_engine(postgresql_server)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    url = make_url(postgresql_server).update_query_dict({"options": f"-csearch_path={name}"})
    yield url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(text("SET lock_timeout = '5s'"))
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()


@contextmanager
def _directory():
    """A short path, for a socket's may have 107 bytes, that the server's own user may write to."""
    directory = Path(tempfile.mkdtemp(prefix="assay-pg-", dir="/tmp"))  # noqa: S108
    try:
        if os.getuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _running(programs, directory, psycopg):
    somebody = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    data = directory / "data"
    init = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions"]
    subprocess.run([*init, "--locale=C.UTF-8"], check=True, capture_output=True, cwd=directory, **somebody)
    settings = itertools.chain(*(("-c", f"{name}={value}") for name, value in FAST.items()))
    command = [programs / "postgres", "-D", data, "-k", directory, "-c", "listen_addresses=", *settings]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, **somebody)
    try:
        _wait(server, directory, psycopg)
        yield
    finally:
        server.send_signal(signal.SIGQUIT)  # nothing of it is kept
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=10)
        server.kill()
        server.wait()


def _wait(server, directory, psycopg):
    patience = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(host=str(directory), user="postgres", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > patience:
                pytest.skip("PostgreSQL does not start: " + (directory / "log").read_text()[-200:])
            time.sleep(0.05)
