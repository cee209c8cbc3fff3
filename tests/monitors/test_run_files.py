"""Run files: a workspace, a run, a trainer's output or a file each stand for one run."""

import json
import os

import pytest
from simulated_runs import NOW

from assay.monitors.run_files import find_run_file, read_trail
from assay.monitors.run_log import RUN_LOG, Acted, Begun, Ended, Rang, RunLog, Sampled, Seen
from assay.monitors.trail import trail_of_log
from assay.records.errors import InputError
from assay.records.observation import Alarm, Observation


def write_log(directory, name="guarded"):
    log = RunLog(directory / RUN_LOG, Begun(at=NOW, name=name, method="online_dpo", steps=9, monitors=("kl_budget",)))
    log.append(Seen(at=NOW, observation=Observation(step=0, values={"alignment/kl": 0.0})))
    return log


def write_state(directory, step):
    (directory / f"checkpoint-{step}").mkdir(parents=True)
    path = directory / f"checkpoint-{step}" / "trainer_state.json"
    path.write_text(json.dumps({"log_history": [{"loss": 1.0, "step": step}]}))
    return path


def test_a_workspace_stands_for_the_run_log_that_was_written_last(tmp_path):
    for age, name in enumerate(("guarded", "dpo", "unguarded")):
        write_log(tmp_path / "scratch" / name, name)
        os.utime(tmp_path / "scratch" / name / RUN_LOG, (1000 - age, 1000 - age))
    assert find_run_file(tmp_path) == tmp_path / "scratch" / "guarded" / RUN_LOG


def test_a_run_stands_for_its_log_and_a_trainers_output_for_its_newest_checkpoint(tmp_path):
    write_state(tmp_path, 9)
    newest = write_state(tmp_path, 10)
    assert find_run_file(tmp_path) == newest
    assert find_run_file(newest.parent) == newest
    assert find_run_file(newest) == newest
    write_log(tmp_path)
    assert find_run_file(tmp_path) == tmp_path / RUN_LOG


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_place_without_a_run_is_told_what_belongs_there(tmp_path, name):
    with pytest.raises(InputError, match=r"observations\.jsonl or trainer_state\.json"):
        find_run_file(tmp_path / name)


def test_a_trail_holds_what_the_log_says(tmp_path):
    log = write_log(tmp_path)
    running = read_trail(tmp_path / RUN_LOG)
    assert (running.ended, running.kept_step, running.steps, running.monitors) == (None, None, 9, ("kl_budget",))
    alarm = Alarm(created_at=NOW, monitor="kl_budget", step=3, message="x", action="stop", value=2.0, threshold=1.0)
    acted = Acted(at=NOW, step=3, action="stop", said="the run ended")
    shown = (Sampled(prompt="Why?", text="So."),)
    log.append(Seen(at=NOW, observation=Observation(step=3, values={"alignment/kl": 2.0}), completions=shown))
    log.append(Rang(alarm=alarm))
    log.append(acted)
    log.append(Ended(at=NOW, kept_step=0, reason="kl_budget: x"))
    trail = read_trail(tmp_path / RUN_LOG)
    assert [seen.step for seen in trail.observations] == [0, 3]
    assert (trail.alarms, trail.actions, trail.completions) == ((alarm,), (acted,), shown)
    assert (trail.ended, trail.kept_step) == ("kl_budget: x", 0)


def test_a_log_that_does_not_begin_is_refused():
    with pytest.raises(InputError, match="begins with `begun`"):
        trail_of_log([])
