"""Processes: one command in several processes makes what one makes, and a failure is told once, by its cause."""

import multiprocessing
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import assay, demonstration_rows, done, refused, write_rows
from safetensors.numpy import load_file

from assay.cli.processes import as_one_of, start
from assay.records.errors import ConfigError, TrainingError
from assay.records.policy import PolicyVersion
from assay.storage import Workspace

# torch's launcher leaves the logs of its processes open.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

LOST = "error: expected every process of the run to answer; got one that ended or hangs; look"


def run_script(script, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(f"import os, signal, sys, time\nrank = int(os.environ['RANK'])\n{script}\n")
    start([str(path), str(tmp_path)], 2, program=(sys.executable, "-S"))


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_every_process_is_told_its_rank_and_the_number_of_processes(tmp_path):
    run_script("open(f'{sys.argv[1]}/{rank}', 'w').write(os.environ['WORLD_SIZE'])", tmp_path)
    assert [(tmp_path / str(rank)).read_text() for rank in (0, 1)] == ["2", "2"]


def test_a_killed_process_is_named_and_the_others_are_ended(tmp_path):
    script = "open(f'{sys.argv[1]}/{rank}', 'w').write(str(os.getpid()))\n"
    script += "os.kill(os.getpid(), signal.SIGKILL) if rank else time.sleep(60)"
    expected = "expected all processes to finish; got process 1 ended by SIGKILL; run again with --resume"
    with pytest.raises(TrainingError, match=expected):
        run_script(script, tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "0").read_text()), 0)


def test_the_error_of_the_process_that_failed_is_told_not_that_of_the_one_that_lost_it(tmp_path):
    said = [LOST, "error: expected room; got a full disk; free some"]
    with pytest.raises(TrainingError, match="^expected room; got a full disk; free some$"):
        run_script(f"time.sleep(0 if rank else 0.3)\nsys.exit({said}[rank])", tmp_path)


def test_an_error_that_nobody_foresaw_is_told_by_its_last_line(tmp_path):
    with pytest.raises(TrainingError, match="expected process 1 to finish; got KeyError: 'lost key'; run again"):
        run_script("time.sleep(60) if not rank else {}['lost key']", tmp_path)


def test_a_mode_of_several_processes_is_refused_in_one():
    expected = "several processes for --distributed fsdp2; got one; add --processes N"
    with pytest.raises(ConfigError, match=expected), as_one_of("fsdp2", {}):
        pass


def test_methods_that_draw_are_refused_before_anything_starts(tmp_path):
    said = refused("align", "grpo", "-w", tmp_path, "--processes", 2)
    assert said.startswith("expected sft or dpo with --processes; got grpo; leave --processes out")


@pytest.fixture
def space(tiny_model_dir, tmp_path):
    """A workspace with demonstrations."""
    done("init", "-w", tmp_path / "space", "--model", tiny_model_dir)
    done("feedback", "import", write_rows(tmp_path / "rows.jsonl", demonstration_rows()), "-w", tmp_path / "space")
    return tmp_path / "space"


def tuned(space):
    """The adapter of the latest policy, and how many policies there are."""
    workspace = Workspace(space)
    try:
        policies = [policy for policy in workspace.records.all(PolicyVersion) if policy.name == "sft"]
        found = load_file(workspace.artifacts.path(policies[-1].adapter) / "adapter_model.safetensors")
        return found, len(policies), policies[-1].settings
    finally:
        workspace.close()


def align_in_process(rank, port, space, log):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    log.write_text(repr(assay("align", "sft", "-w", space, "--processes", 2, "--set", "sft.learning_rate=0.001")))


def test_two_processes_of_one_command_make_one_policy_that_is_the_one_of_a_single_process(space, tmp_path):
    done("align", "sft", "-w", space, "--set", "sft.learning_rate=0.001")
    expected, _, settings = tuned(space)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    logs = [tmp_path / "0.log", tmp_path / "1.log"]
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=align_in_process, args=(rank, port, space, logs[rank])) for rank in (0, 1)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    said = [log.read_text() for log in logs]
    assert "code=0" in said[0] and "code=0" in said[1], said
    assert "policy" in said[0] and "policy" not in said[1]
    found, policies, same = tuned(space)
    assert (policies, same) == (2, settings)
    assert not list(Path(space, "artifacts").glob(".new-*"))
    for name, value in found.items():  # in bfloat16 where the processor has it: the order of additions shows
        np.testing.assert_allclose(value, expected[name], atol=3e-4, err_msg=name)
