"""Annotation site: one process serves it, or several on one socket whose pages wait for no acknowledgement."""

import gc
import os
import socket
import sys

import pytest
import uvicorn

from assay.cli import annotation_site
from assay.cli.annotation_site import serve_site, site, watch_over
from assay.feedback.pii import find_pii


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What `serve_site` leaves in the environment ends with the test."""
    for name in (annotation_site.WORKSPACE, annotation_site.IS_SECURE, annotation_site.FINDER):
        monkeypatch.setenv(name, "")
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_one_process_serves_the_site_itself(monkeypatch, workspace):
    served = {}
    monkeypatch.setattr(uvicorn, "run", lambda app, **settings: served.update(settings, app=app))
    serve_site(workspace.directory, host="127.0.0.1", port=8123, is_secure=True, workers=1)
    assert served["port"] == 8123
    assert served["app"].state.site.is_secure
    served["app"].state.site.records.close()


def test_the_finder_that_is_asked_for_looks_in_every_process(monkeypatch, workspace):
    asked = []
    monkeypatch.setattr(annotation_site, "finder_named", lambda words: asked.append(words) or find_pii)
    monkeypatch.setattr(os, "execv", lambda *_: None)
    for words in ("presidio:of_names", None):
        serve_site(workspace.directory, host="::1", port=1, is_secure=False, workers=3, finder=words)
        made = site()
        assert made.state.site.finder is find_pii
        made.state.site.records.close()
    assert asked == ["presidio:of_names", None]


def test_what_is_there_before_the_first_visitor_is_not_looked_through_for_garbage(monkeypatch, workspace):
    monkeypatch.setenv(annotation_site.WORKSPACE, str(workspace.directory))
    made = site()
    assert gc.get_freeze_count() > 10_000
    made.state.site.records.close()


def test_several_are_watched_over_by_a_process_that_can_make_the_site(monkeypatch, workspace):
    became = []
    monkeypatch.setattr(os, "execv", lambda *command: became.append(command))
    monkeypatch.chdir(workspace.directory.parent)
    serve_site(
        workspace.directory.relative_to(workspace.directory.parent), host="::1", port=1, is_secure=False, workers=3
    )
    assert became == [(sys.executable, [sys.executable, "-m", annotation_site.__name__, "::1", "1", "3"])]
    monkeypatch.chdir("/")
    made = site()
    assert not made.state.site.is_secure
    made.state.site.records.close()


def test_connections_of_several_send_each_page_at_once(monkeypatch):
    watched = []
    monkeypatch.setattr(
        annotation_site, "Multiprocess", lambda config, sockets: watched.append((config, sockets)) or WATCH
    )
    watch_over("127.0.0.1", 0, 3)
    (config, [listening]) = watched[0]
    assert (config.workers, config.factory, config.app) == (3, True, f"{annotation_site.__name__}:site")
    listening.listen()
    with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    listening.close()


class Watch:
    def run(self):
        """Watch over nobody."""


WATCH = Watch()
