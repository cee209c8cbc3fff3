"""Annotation site: serves it from this process, or from several beside each other over one workspace.

Run as a module it watches over the several. Each of them makes the site from what stands in the environment, and none
loads a language model.
"""

import gc
import os
import sys
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from assay.cli.context import now, open_workspace
from assay.feedback.pii_finders import finder_named
from assay.web import create_annotation_app

MODULE = "assay.cli.annotation_site"
WORKSPACE = "ASSAY_SITE_WORKSPACE"
IS_SECURE = "ASSAY_SITE_TLS"
FINDER = "ASSAY_SITE_PII"


def serve_site(
    workspace: Path, *, host: str, port: int, is_secure: bool, workers: int, finder: str | None = None
) -> None:
    """Serve until stopped. With more than one worker this process becomes the one that watches over them.

    `finder` names what looks for personal data beside our own patterns (`assay.feedback.pii_finders`).
    """
    os.environ |= {WORKSPACE: str(workspace.absolute()), IS_SECURE: "1" if is_secure else "", FINDER: finder or ""}
    if workers == 1:
        uvicorn.run(site(), host=host, port=port, log_level="warning", access_log=False)
    else:
        os.execv(sys.executable, [sys.executable, "-m", MODULE, host, str(port), str(workers)])  # noqa: S606


def site() -> FastAPI:
    """The site that the environment names; it lives as long as its process."""
    workspace = open_workspace(Path(os.environ[WORKSPACE]))
    finder = finder_named(os.environ.get(FINDER) or None)
    made = create_annotation_app(workspace, clock=now, is_secure=bool(os.environ.get(IS_SECURE)), finder=finder)
    _tidy_less()
    return made


def _tidy_less() -> None:
    """Leave what is there now out of the search for garbage, and search less often.

    To look through all of it holds up people for 70 ms, and a request leaves next to nothing that needs the search.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def watch_over(host: str, port: int, workers: int) -> None:
    """Start so many server processes on one socket, and start another where one dies."""
    config = uvicorn.Config(
        f"{MODULE}:site",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        log_level="warning",
        access_log=False,
    )
    socket = config.bind_socket()
    # asyncio does this for sockets of its own only; without it each page waits 40 ms for the browser's acknowledgement
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    Multiprocess(config, sockets=[socket]).run()


if __name__ == "__main__":
    watch_over(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
