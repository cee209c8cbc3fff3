"""Run log: entries come back as written, half a line is no line, a resumed log forgets, a disk that refuses is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_runs import NOW

from assay.monitors.run_log import BROKEN_OFF, RUN_LOG, Acted, Begun, Ended, Rang, RunLog, Sampled, Seen, read_run_log
from assay.records.errors import InputError, StorageError
from assay.records.observation import Alarm, Observation

BEGUN = Begun(at=NOW, name="guarded", method="online_dpo", steps=12, monitors=("kl_budget",))


def seen(step, **values):
    return Seen(at=NOW, observation=Observation(step=step, values=values))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / RUN_LOG


def test_all_that_happened_is_read_back_in_its_order(path):
    alarm = Alarm(created_at=NOW, monitor="m", step=3, message="x", action="stop", value=2.0, threshold=1.0)
    sampled = Sampled(prompt="Why?", text="Because\nof\u2028lines and “quotes”.")
    entries = [
        Seen(at=NOW, observation=Observation(step=0, values={"alignment/kl": 0.1}), completions=(sampled,)),
        Rang(alarm=alarm),
        Acted(at=NOW, step=3, action="raise_kl_coef", said="beta rose"),
        Ended(at=NOW, kept_step=0, reason="m: x"),
    ]
    log = RunLog(path, BEGUN)
    for entry in entries:
        log.append(entry)
    assert read_run_log(path) == [BEGUN, *entries]
    lines = path.read_text("utf-8").removesuffix("\n").split("\n")
    assert [json.loads(line)["kind"] for line in lines] == ["begun", "seen", "rang", "acted", "ended"]


@given(st.text(st.characters(codec="utf-8")), st.floats(allow_nan=False))
def test_any_text_and_any_number_come_back(tmp_path_factory, text, number):
    path = tmp_path_factory.mktemp("any") / RUN_LOG
    entry = Seen(
        at=NOW, observation=Observation(step=1, values={"a/b": number}), completions=(Sampled(prompt=text, text=text),)
    )
    RunLog(path, BEGUN).append(entry)
    assert read_run_log(path) == [BEGUN, entry]


def test_a_run_of_which_nothing_was_seen_leaves_no_trace_and_does_not_touch_the_log_of_before(path):
    RunLog(path, BEGUN).append(seen(0))
    before = path.read_text("utf-8")
    RunLog(path, BEGUN.model_copy(update={"name": "other"}))
    assert path.read_text("utf-8") == before


def test_a_new_run_in_the_same_place_begins_its_log_anew(path):
    RunLog(path, BEGUN).append(seen(0))
    RunLog(path, BEGUN).append(seen(5))
    assert [entry.kind for entry in read_run_log(path)] == ["begun", "seen"]


def test_each_line_is_there_for_a_reader_before_the_next_is_written(path):
    log = RunLog(path, BEGUN)
    for step in range(3):
        log.append(seen(step))
        assert [entry.observation.step for entry in read_run_log(path)[1:]] == list(range(step + 1))


def test_a_line_that_is_being_written_is_left_out(path):
    log = RunLog(path, BEGUN)
    log.append(seen(0))
    whole = path.read_text("utf-8")
    path.write_text(whole + whole[: len(whole) // 3].splitlines()[0], encoding="utf-8")
    assert read_run_log(path) == [BEGUN, seen(0)]


def test_a_resumed_log_is_cut_back_to_its_checkpoint_also_where_the_file_was_lost(path):
    log = RunLog(path, BEGUN)
    log.append(seen(0))
    state = log.state()
    log.append(seen(4))
    expected = [BEGUN, seen(0)]
    for lose in (False, True):
        if lose:
            path.unlink()
        resumed = RunLog(path, BEGUN.model_copy(update={"name": "second start"}))
        resumed.restore(json.loads(json.dumps(state)))
        assert read_run_log(path) == expected
    resumed.append(seen(2))
    assert read_run_log(path) == [*expected, seen(2)]


def test_a_broken_run_says_so_and_a_whole_one_does_not(path):
    log = RunLog(path, BEGUN)
    with log.noting_a_break(lambda: NOW):
        log.append(seen(0))
    assert read_run_log(path)[-1] == seen(0)
    with pytest.raises(KeyboardInterrupt), log.noting_a_break(lambda: NOW):
        raise KeyboardInterrupt
    assert read_run_log(path)[-1] == Ended(at=NOW, kept_step=None, reason=BROKEN_OFF)


def test_every_line_that_is_no_entry_is_reported(path):
    RunLog(path, BEGUN).append(seen(0))
    with path.open("a") as file:
        file.write('not json\n{"kind": "astrology"}\n{"kind": "seen", "at": "2026-01-01T00:00:00"}\n')
    with pytest.raises(InputError) as error:
        read_run_log(path)
    assert [fault.split(":")[0] for fault in error.value.faults] == ["line 3", "line 4", "line 5"]


def test_a_log_that_is_not_there_is_an_input_error(path):
    with pytest.raises(InputError, match="name another run"):
        read_run_log(path)


def test_a_disk_that_refuses_is_told_in_a_sentence(path, monkeypatch):
    log = RunLog(path, BEGUN)
    log.append(seen(0))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "replace", full)
    with pytest.raises(StorageError, match=r"No space left on device.*--resume"):
        log.restore(log.state())
    assert read_run_log(path) == [BEGUN, seen(0)]
