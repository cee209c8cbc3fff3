"""Watch and audit of runs by their files: what the terminal shows, when it ends, and the exit status for CI."""

import io
import json
import threading

import pytest
from command_line import assay, done, refused
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from assay.cli import monitor_watch
from assay.cli.asking import ask_people
from assay.cli.monitor_watch import BARS, board, sparkline
from assay.governance import close_review, open_reviews
from assay.monitors.run_files import read_trail
from assay.monitors.run_log import RUN_LOG, Acted, Begun, Ended, Rang, RunLog, Sampled, Seen
from assay.records.observation import Alarm, Observation
from assay.records.policy import PolicyVersion
from assay.records.provenance import Provenance


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal in which no line of these tests has to be wrapped."""
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture
def alarm(now):
    def make(step, action="stop"):
        return Alarm(
            created_at=now,
            monitor="kl_budget",
            step=step,
            message="KL [is] 16 nats",
            action=action,
            value=16.0,
            threshold=15.0,
            evidence={"alignment/kl": 16.0},
        )

    return make


@pytest.fixture
def run(tmp_path, now):
    """A run's directory with a log of three checkpoints, and a way to go on writing."""
    directory = tmp_path / "scratch" / "guarded"
    log = RunLog(
        directory / RUN_LOG, Begun(at=now, name="guarded", method="online_dpo", steps=9, monitors=("kl_budget",))
    )
    for step in (0, 3, 6):
        values = {"alignment/kl": 8.0 * step / 3, "alignment/proxy_reward": 0.1 * step, "completions/mean_length": 40.0}
        shown = (Sampled(prompt="Why is it [blue]?", text=f"Because of step {step}."),)
        log.append(Seen(at=now, observation=Observation(step=step, values=values), completions=shown))
    return directory, log


def drawn(directory):
    """The board as text."""
    console = Console(file=io.StringIO(), width=140)
    console.print(board(read_trail(directory / RUN_LOG), directory / RUN_LOG))
    return console.file.getvalue()


def test_the_board_shows_curves_alarms_actions_and_the_last_completions(run, alarm, now):
    directory, log = run
    log.append(Rang(alarm=alarm(6)))
    log.append(Acted(at=now, step=6, action="stop", said="the checkpoint at step 3 is kept"))
    text = drawn(directory)
    assert "guarded (online_dpo), step 6 of 9, running" in text
    assert "watched by kl_budget" in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.split()}
    assert rows["KL"].split() == ["KL", "0", "▁▅█", "16"]
    assert rows["length"].split() == ["length", "40", "▁▁▁", "40"]
    assert rows["alarms"].split() == ["alarms", "^", "1"]
    assert rows["alarms"].index("^") == rows["KL"].index("█")
    assert "panel" not in rows
    assert "step 6: kl_budget (stop): KL [is] 16 nats" in text
    assert text.index("KL [is] 16 nats") < text.index("step 6: the checkpoint at step 3 is kept")
    assert "Why is it [blue]?" in text
    assert "Because of step 6." in text
    assert "Because of step 3." not in text


def test_a_narrow_terminal_loses_nothing(run, alarm, monkeypatch):
    directory, log = run
    log.append(Rang(alarm=alarm(6).model_copy(update={"message": "word " * 30 + "the last"})))
    monkeypatch.setenv("COLUMNS", "50")
    assert "the last" in done("monitor", "watch", directory, "--once")


def test_once_prints_how_it_stands_and_ends_though_the_run_goes_on(run):
    directory, _ = run
    for place in (directory, directory.parents[1], directory / RUN_LOG):
        said = done("monitor", "watch", place, "--once")
        assert "step 6 of 9, running" in said
        assert "next: assay monitor audit" in said


def test_watching_ends_when_the_run_ends(run, now, monkeypatch):
    directory, log = run
    looks = []

    def look(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            log.append(Ended(at=now, kept_step=3, reason="kl_budget: enough"))

    monkeypatch.setattr(monitor_watch.time, "sleep", look)
    said = done("monitor", "watch", directory, "--every", "0.5")
    assert looks == [0.5, 0.5]
    assert "ended: kl_budget: enough; the checkpoint at step 3 is kept" in said


def test_a_person_may_leave_while_the_run_goes_on(run, monkeypatch):
    def leave(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(monitor_watch.time, "sleep", leave)
    assert "next: assay monitor audit" in done("monitor", "watch", run[0])


def test_a_file_that_is_half_written_is_read_at_the_next_look(run, now, monkeypatch):
    directory, log = run
    whole = log.state()

    def look(_seconds):
        text = (directory / RUN_LOG).read_text()
        if text.endswith("half\n"):
            log.restore(whole)
            log.append(Ended(at=now, kept_step=6, reason="all steps taken"))
        else:
            (directory / RUN_LOG).write_text(text + "half\n")

    monkeypatch.setattr(monitor_watch.time, "sleep", look)
    assert "ended: all steps taken" in done("monitor", "watch", directory)


def test_a_live_run_is_followed_from_another_thread(run, now):
    directory, log = run
    answers = []
    watcher = threading.Thread(target=lambda: answers.append(assay("monitor", "watch", directory, "--every", "0.05")))
    watcher.start()
    log.append(Ended(at=now, kept_step=6, reason="all steps taken"))
    watcher.join(timeout=60)
    assert answers[0].code == 0
    assert "ended: all steps taken" in answers[0].said


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300))
def test_a_sparkline_fits_its_width_and_touches_both_ends_of_its_range(values):
    line = sparkline(values)
    assert len(line) == min(len(values), 40)
    assert set(line) <= set(BARS)
    assert BARS[0] in line
    if len(values) <= 40 and max(values) > min(values):
        assert line[values.index(max(values))] == BARS[-1]
        assert line[values.index(min(values))] == BARS[0]


def test_a_sparkline_has_gaps_for_what_is_not_known_and_averages_what_does_not_fit():
    assert sparkline([0.0, float("nan"), 1.0]) == "▁ █"
    assert sparkline([]) == ""
    assert sparkline([float("nan")]) == " "
    assert sparkline([0, 0, 7, 7, 3, 4], width=3) == "▁█▅"  # means 0, 7, 3.5


@pytest.mark.parametrize(("kept", "code"), [(3, 0), (6, 1), (None, 1)])
def test_the_audit_of_a_log_fails_when_the_kept_checkpoint_is_not_from_before_the_alarm(run, alarm, now, kept, code):
    directory, log = run
    log.append(Rang(alarm=alarm(6)))
    log.append(Ended(at=now, kept_step=kept, reason="over"))
    ended = assay("monitor", "audit", directory)
    assert ended.code == code
    assert "step 6: kl_budget (stop): KL [is] 16 nats" in ended.said
    assert assay("monitor", "audit", directory, "--step", "5").code == 0


@pytest.fixture
def trainer_state(tmp_path):
    def write(history):
        path = tmp_path / "out" / "checkpoint-9" / "trainer_state.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"log_history": history, "global_step": 9, "max_steps": 9}))
        return path.parents[1]

    return write


def test_the_audit_of_a_trainers_output_replays_it_and_names_the_silent(trainer_state):
    output = trainer_state(
        [{"loss": 0.1, "kl": 0.1 * step, "completions/mean_length": 30.0, "step": step} for step in range(1, 10)]
    )
    ended = assay("monitor", "audit", output)
    assert ended.code == 1
    assert "no monitor watched this run" in ended.said
    assert "step 6: kl_budget (stop): KL to the reference is 18.0 nats" in ended.said
    assert "repetition was silent: the run has no completions/repetition" in ended.said
    raised = done("monitor", "audit", output, "--set", "kl_budget.budget_nats=50")
    assert "0 alarms, none of them ignored" in raised
    assert "1 of" not in raised
    board = done("monitor", "watch", output)  # it has ended, so there is nothing to wait for
    assert "watched by nobody" in board


def test_an_audit_in_which_no_monitor_could_look_fails(trainer_state):
    ended = assay("monitor", "audit", trainer_state([{"loss": 0.1, "rewards/margins": 0.2, "step": 9}]))
    assert ended.code == 1
    assert "no monitor could look at it" in ended.said


@pytest.mark.parametrize("command", ["audit", "watch"])
def test_a_place_without_a_run_is_refused_in_one_sentence(tmp_path, command):
    assert "observations.jsonl or trainer_state.json" in refused("monitor", command, tmp_path / "nowhere")
    assert "observations.jsonl or trainer_state.json" in refused("monitor", command, tmp_path)


def test_a_setting_of_no_monitor_is_refused(run):
    assert "no monitor is called 'astrology'" in refused("monitor", "audit", run[0], "--set", "astrology.sign=3")


@pytest.fixture
def asked(workspace, alarm, now):
    """A stored policy in whose run a monitor asked for a person, twice."""
    policy = PolicyVersion(
        created_at=now,
        name="guarded",
        base_model="tiny",
        adapter=None,
        ref_policy=None,
        method="online_dpo",
        step=9,
        steps_run=9,
        alarms=(alarm(3, "ask_a_person"), alarm(6, "ask_a_person"), alarm(6, "raise_kl_coef")),
        monitors=("kl_budget",),
        provenance=Provenance(seed=0, data_hash="d", code_version="c", config_hash="h"),
    )
    workspace.records.put(policy)
    return policy


def test_the_audit_opens_a_review_for_each_alarm_that_asks_for_a_person(workspace, asked):
    said = done("monitor", "audit", asked.short_id, "-w", workspace.directory)
    tasks = open_reviews(workspace)
    assert [task.title.rpartition(": ")[2] for task in tasks] == [
        "kl_budget rang at step 3",
        "kl_budget rang at step 6",
    ]
    assert all(f"review {task.short_id} is open" in said for task in tasks)
    assert tasks[0].subject == asked.id
    assert tasks[0].evidence == {"alignment/kl": 16.0}
    assert "is open" not in done("monitor", "audit", asked.short_id, "-w", workspace.directory)


def test_a_review_that_a_person_closed_is_not_opened_again_by_the_same_alarm(workspace, asked, now):
    first, _ = ask_people(workspace, asked, asked.alarms)
    close_review(workspace, first.short_id, by="anna", note="looked at the samples", now=now)
    assert ask_people(workspace, asked, asked.alarms) == []
    assert len(open_reviews(workspace)) == 1


def test_a_run_of_the_walk_leaves_a_log_that_can_be_watched_and_audited(small_run):
    said = done("monitor", "watch", small_run / "scratch" / "guarded", "--once")
    assert "guarded (online_dpo)" in said
    assert "is kept" in said
    assert assay("monitor", "audit", small_run / "scratch" / "guarded").code == 0
