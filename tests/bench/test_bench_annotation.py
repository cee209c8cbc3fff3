"""Annotation benchmark: its annotators work as people do and give up nothing, its reckoning and bars by hand."""

import json
import socket
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count

import pytest
import typer
import uvicorn
from typer.testing import CliRunner

from assay.bench.annotation import QUICK, AnnotationMeasurement, bars_of, bench_annotation
from assay.bench.annotation.campaign import NAME, open_items
from assay.bench.annotation.crowd import Submit, Visitors, crowd
from assay.bench.annotation.measurement import Spread, _spread, _trouble
from assay.bench.annotation.reckoning import Reckoning, reckon
from assay.bench.annotation.server import Server
from assay.bench.annotation.visitors import Annotator, GaveUpError
from assay.cli import bench_annotation as command
from assay.feedback import Said, current_judgements, give_consent, next_turn, queue_of, record_answer
from assay.feedback.campaign import find_campaign
from assay.records.errors import StorageError
from assay.records.judgement import Item, Judgement
from assay.web import create_annotation_app

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAST = Spread(5.0, 20.0, 100.0, 140.0)


def measured(**changes):
    whole = Reckoning(stored=100, lost=0, doubled=0)
    found = AnnotationMeasurement(2000, 1.0, 210.0, 9.0, FAST, FAST, (), whole, whole._replace(stored=130), 40, 6.0)
    return found._replace(**changes)


def visitors(port, *names, **changes):
    told = Visitors(names, "127.0.0.1", port, NAME, period_s=0.0, seconds=20.0, patience_s=5.0, seed=0)
    return told._replace(**changes)


@contextmanager
def site(workspace):
    server = uvicorn.Server(
        uvicorn.Config(
            create_annotation_app(workspace, clock=lambda: datetime.now(UTC)), log_level="error", lifespan="off"
        )
    )
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()


def test_annotators_answer_every_item_through_the_pages_and_all_of_it_is_stored(workspace):
    open_items(workspace.records, 8, now=NOW)
    with site(workspace) as port, crowd(visitors(port, "ada", "bob", "cem"), processes=2) as people:
        people.go()
        told = people.tell()
    assert (told.faults, told.gone) == ((), 0)
    assert len(told.submits) == 16  # eight items, two people each
    assert all(0 < one.stored_s <= one.next_s for one in told.submits)
    assert reckon(workspace.records, told.submits, annotators=("ada", "bob", "cem")) == Reckoning(16, 0, 0)
    answers = workspace.records.all(Judgement)
    assert len(current_judgements(answers)) == 16
    assert len({answer.choice for answer in answers}) == 3


def test_more_items_join_a_campaign_and_those_that_are_there_stay(workspace):
    for items in (3, 5, 5):
        open_items(workspace.records, items, now=NOW)
        assert queue_of(workspace.records).items(NAME) == items
    assert workspace.records.count(Item) == 5


@pytest.fixture
def answered(workspace):
    """Two people who have answered both items, as they were told."""
    open_items(workspace.records, 2, now=NOW)
    leases, campaign = queue_of(workspace.records), find_campaign(workspace.records, NAME)
    submits = []
    for name in ("ada", "bob"):
        give_consent(workspace.records, name, "train", now=NOW)
        while turn := next_turn(leases, campaign, name, now=NOW):
            record_answer(leases, campaign, name, turn.item, Said(overall="left"), now=NOW)
            submits.append(Submit(name, turn.item.id, 0.0, 0.1, 0.2))
    return submits


def test_what_is_lost_and_what_is_doubled_is_counted(workspace, answered):
    def reckoned(submits):
        return reckon(workspace.records, submits, annotators=("ada", "bob"))

    assert reckoned(answered) == reckoned(answered[:1]) == Reckoning(4, 0, 0)
    assert reckoned([*answered, answered[0]._replace(annotator="cem")]).lost == 1
    assert reckoned([*answered, answered[0]]).doubled == 1
    one = workspace.records.all(Judgement, subject="ada")[0]
    workspace.records.put(one.model_copy(update={"occurrence": 1}), subject="ada")
    assert reckoned(answered) == Reckoning(5, 0, 1)


def test_an_answer_that_points_at_no_record_is_an_error(workspace, answered):
    leases = queue_of(workspace.records)
    lease = leases.find(NAME, "ada", answered[0].item)
    assert leases.finish(lease, "answered", answer="0" * 64, rows=[])
    with pytest.raises(StorageError, match="one judgement"):
        reckon(workspace.records, answered, annotators=("ada",))


def flaky_server(answers):
    """A server that breaks the connection after a request where it has no answer; returns its port and what came."""
    listening = socket.create_server(("127.0.0.1", 0))
    port, came = listening.getsockname()[1], []

    def serve():
        for answer in answers:
            connection, _ = listening.accept()
            came.append(_request(connection))
            if answer is not None:
                connection.sendall(answer)
            connection.close()
        listening.close()

    thread = threading.Thread(target=serve)
    thread.start()
    return port, came, thread


def _request(connection):
    text = b""
    while b"\r\n\r\n" not in text or (text.startswith(b"POST") and text.endswith(b"\r\n\r\n")):
        text += connection.recv(65536)
    return text


def plain(body, head="200 OK"):
    return f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


FIELDS = '<input type="hidden" name="token" value="ab"><input type="hidden" name="item" value="i">'
PAGE = f'<form class="reply">{FIELDS}</form>'


def test_an_answer_of_unknown_outcome_is_sent_again_as_it_was():
    stored = b"HTTP/1.1 303 See Other\r\nLocation: /c/bench?said=left\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    port, came, thread = flaky_server([None, None, stored, None, plain(PAGE)])
    one = Annotator(visitors(port)._asdict(), "ada")
    one.page = PAGE
    assert one.answer(started=time.perf_counter())
    thread.join()
    assert came[0] == came[1] == came[2]
    assert b"token=ab&item=i&overall=" in came[0]
    assert (one.retries, len(one.submits), one.faults, one.page) == (3, 1, [], PAGE)


def test_being_sent_back_to_the_entry_is_a_fault_and_no_submit():
    entry = b"HTTP/1.1 303 See Other\r\nLocation: /?campaign=bench\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    port, _, thread = flaky_server([entry, plain("your name?")])
    one = Annotator(visitors(port)._asdict(), "ada")
    one.page = PAGE
    assert one.answer(started=0.0)
    thread.join()
    assert (one.submits, one.faults) == ([], ["POST /c/bench/answer 303: led to /?campaign=bench"])


def test_a_refusal_is_a_fault_and_no_submit_and_what_is_gone_is_neither():
    gone = b"HTTP/1.1 303 See Other\r\nLocation: /c/bench?said=gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    busy = plain("database is locked", "503 Service Unavailable")
    port, _, thread = flaky_server([busy, plain(PAGE), gone, plain("")])
    one = Annotator(visitors(port)._asdict(), "ada")
    one.page = PAGE
    assert one.answer(started=0.0)
    assert one.answer(started=0.0)
    assert not one.answer(started=0.0)
    thread.join()
    assert one.faults == ["POST /c/bench/answer 503: database is locked"]
    assert (one.submits, one.gone) == ([], 1)


def test_patience_ends():
    port, _, thread = flaky_server([])
    thread.join()
    one = Annotator(visitors(port)._asdict() | {"patience_s": 0.1}, "ada")
    with pytest.raises(GaveUpError, match="GET /c/bench"):
        [one.get("/c/bench") for _ in count()]


def test_processes_of_annotators_that_fail_are_told_and_gone():
    port, _, thread = flaky_server([])
    thread.join()
    people = visitors(port, "ada", patience_s=0.05)
    with pytest.raises(StorageError, match="exit 1"), crowd(people, processes=1):
        pytest.fail("nobody can enter where nobody answers")


def test_spreads_and_server_trouble_are_read_by_hand(tmp_path):
    spread = _spread([number / 1000 for number in range(101)])
    assert spread == pytest.approx((50.0, 95.0, 99.0, 100.0))
    assert _spread([]).p99 == float("inf")
    (tmp_path / "log").write_text("judge at …\nsqlite3.OperationalError: database is locked\nTraceback (most …\n")
    assert len(_trouble(tmp_path / "log")) == 2


def test_the_cpu_of_a_site_is_that_of_its_processes(tmp_path, monkeypatch):
    server = Server(tmp_path, NAME, workers=1, log=tmp_path / "log")
    assert server.cpu_s() == 0.0
    monkeypatch.setattr(server, "_command", [sys.executable, "-c", "while True: pass"])
    monkeypatch.setattr(server, "_answers", lambda: server.cpu_s() > 0.05)
    server.start()
    assert 0.05 < server.cpu_s() < 30
    server.kill()
    assert server.cpu_s() == 0.0


def test_a_site_that_does_not_start_is_told_with_its_last_words(tmp_path, monkeypatch):
    server = Server(tmp_path, NAME, workers=1, log=tmp_path / "log")
    monkeypatch.setattr(server, "_command", [sys.executable, "-c", "raise SystemExit('no such campaign')"])
    with pytest.raises(StorageError, match="no such campaign"):
        server.start()


def test_the_bars_follow_from_the_numbers():
    assert all(bar.holds for bar in bars_of(measured()))
    misses = {
        "submits a second": {"per_s": 199.0},
        "submit, one in a hundred": {"submit": FAST._replace(p99=151.0)},
        "submit to next item, one in twenty": {"to_next": FAST._replace(p95=101.0)},
        "lock errors and other faults": {"faults": ("database is locked",)},
        "judgements lost or doubled": {"reckoned": Reckoning(100, 1, 0)},
        "judgements lost or doubled over kill -9": {"over_kill": Reckoning(100, 0, 1)},
    }
    for name, change in misses.items():
        assert [bar.name for bar in bars_of(measured(**change)) if not bar.holds] == [name]


def test_the_command_writes_what_it_measured_and_no_address(monkeypatch, tmp_path):
    told = {}

    def bench(plan, directory, **more):
        told.update(plan=plan, directory=directory, **more)
        return measured(faults=("[bold] GET /c/bench 503",))

    monkeypatch.setattr(command, "bench_annotation", bench)
    app = typer.Typer()
    app.command()(command.annotation)
    wanted = [
        "--quick",
        "--items",
        "500",
        "--database",
        "postgresql://ada:geheim@h/x",
        "--json",
        str(tmp_path / "a.json"),
    ]
    done = CliRunner().invoke(app, wanted)
    assert done.exit_code == 1
    assert "fault: [bold] GET /c/bench 503" in done.output
    assert told["plan"] == QUICK._replace(items=500, database="postgresql://ada:geheim@h/x")
    assert not told["directory"].exists()
    written = (tmp_path / "a.json").read_text()
    assert "geheim" not in written
    assert json.loads(written)["measured"]["submit"] == FAST._asdict()


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_when_every_server_process_is_killed(tmp_path):
    plan = QUICK._replace(items=400, rate=20.0, seconds=5.0)
    found = bench_annotation(plan, tmp_path, clock=lambda: datetime.now(UTC), said=lambda _: None)
    assert found.faults == ()
    assert found.over_kill.stored > found.reckoned.stored > 50
    assert found.resent > 0
    assert (found.over_kill.lost, found.over_kill.doubled) == (0, 0)
