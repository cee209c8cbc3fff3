"""Ray Train without Ray: why a run ended is told by its cause, and a missing Ray by how to get it."""

import importlib.util

import pytest
from command_line import refused

from assay.cli.ray_train import cause
from assay.records.errors import StorageError, TrainingError

LOST = TrainingError("expected every process of the run to answer; got one that ended or hangs; look")


class Failed(Exception):  # noqa: N818 - stands for an error of Ray's, which names it so
    def __init__(self, **failures):
        super().__init__("Training failed\non many lines")
        self.worker_failures = {int(rank.removeprefix("rank")): error for rank, error in failures.items()}


def test_a_worker_s_own_error_comes_before_that_of_the_one_that_lost_it():
    assert cause(Failed(rank0=LOST, rank1=StorageError("expected room; got none; free some"))) == (
        "expected room; got none; free some"
    )


def test_a_worker_that_died_comes_before_the_one_that_lost_it():
    said = cause(Failed(rank0=LOST, rank1=RuntimeError("The actor died\nby a signal")))
    assert said.startswith("expected all of Ray's workers to finish; got The actor died; run again with --resume")
    assert cause(Failed(rank0=LOST)) == str(LOST)


def test_where_no_worker_is_named_ray_is_quoted():
    assert "got Training failed; run again" in cause(Failed())


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed here")
def test_a_missing_ray_is_told_with_how_to_get_it(tmp_path):
    said = refused("align", "sft", "-w", tmp_path, "--processes", 2, "--ray")
    assert said.startswith(
        "expected Ray for --ray; got No module named 'ray'; install it with `pip install 'assay[ray]'`"
    )
