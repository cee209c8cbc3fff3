"""Ray Train: two real workers make the policy of one process, a killed one ends the run, nothing is reported home.

Runs where Ray is installed, with `pytest -m peers`: pip install --constraint constraints.txt 'assay[ray]'.
"""

import os
import signal
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from safetensors.numpy import load_file

from assay.records.policy import PolicyVersion
from assay.storage import Workspace

sys.path.append(str(Path(__file__).parents[1] / "cli"))
from command_line import demonstration_rows, done, refused, write_rows  # noqa: E402 (a helper of other tests)

ray = pytest.importorskip("ray", reason="needs the extra `ray`")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def space(tiny_model_dir, tmp_path):
    """A workspace with demonstrations."""
    done("init", "-w", tmp_path / "space", "--model", tiny_model_dir)
    done("feedback", "import", write_rows(tmp_path / "rows.jsonl", demonstration_rows()), "-w", tmp_path / "space")
    return tmp_path / "space"


def policies(space):
    """The adapters of the policies by SFT, in order."""
    workspace = Workspace(space)
    try:
        made = [policy for policy in workspace.records.all(PolicyVersion) if policy.name == "sft"]
        paths = [workspace.artifacts.path(policy.adapter) / "adapter_model.safetensors" for policy in made]
        return [load_file(path) for path in paths]
    finally:
        workspace.close()


def test_two_workers_of_ray_make_the_policy_of_one_process(space):
    command = ("align", "sft", "-w", space, "--set", "sft.learning_rate=0.001")
    done(*command)
    assert "next: assay evaluate" in done(*command, "--processes", 2, "--ray")
    alone, shared = policies(space)
    for name, value in alone.items():
        np.testing.assert_allclose(shared[name], value, atol=3e-4, err_msg=name)
    from ray._common.usage import usage_lib

    assert not usage_lib.usage_stats_enabled()


def kill_a_worker(checkpoints, killed):
    """Wait for a checkpoint, and kill the second of Ray's workers."""
    while not list(checkpoints.glob("checkpoint-*")):
        time.sleep(0.1)
    workers = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"ray::RayTrainWorker" in _read(path)]
    killed.append(max(int(path.parent.name) for path in workers))
    os.kill(killed[0], signal.SIGKILL)


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_killed_worker_ends_the_run_in_a_sentence(space):
    killed = []
    checkpoints = space / "scratch" / "sft"
    killer = Thread(target=kill_a_worker, args=(checkpoints, killed), daemon=True)
    killer.start()
    long = ("--set", "sft.num_train_epochs=5000")
    said = refused("align", "sft", "-w", space, "--processes", 2, "--ray", *long)
    assert killed
    assert list(checkpoints.glob("checkpoint-*"))
    assert "run again with --resume" in said
    assert policies(space) == []
