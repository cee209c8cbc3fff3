"""Trainer: steps, exact resume, refusal of numbers that are not finite, a full disk."""

import json
import multiprocessing
import os
import signal

import pytest
import torch
from alignment_cases import NOW

from assay.alignment.settings import SftSettings, TrainerSettings
from assay.alignment.sft import SftTask, epoch_batches
from assay.alignment.trainer import StepLoss, train
from assay.lm import LoraSettings, add_lora, load
from assay.lm.adapters import policy_parameters
from assay.records.conversation import user_prompt
from assay.records.errors import StorageError, TrainingError
from assay.records.judgement import Demonstration

LORA = LoraSettings(targets=("q_proj", "v_proj"))
SETTINGS = SftSettings(num_train_epochs=3, per_device_train_batch_size=2, save_steps=2, learning_rate=1e-2, lora=LORA)


def demonstrations(now, count=5):
    return [
        Demonstration(created_at=now, annotator="a", prompt=user_prompt(f"Why {i}?"), completion=f"Because of {i}.")
        for i in range(count)
    ]


def start(source, now, settings=SETTINGS):
    lm = load(str(source))
    add_lora(lm, settings.lora, seed=0)
    return lm, SftTask(lm, demonstrations(now), settings, seed=4)


def weights(lm):
    return {name: p.detach().clone() for name, p in policy_parameters(lm).items()}


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


class Interrupted:
    """A task that is killed before a given step, once."""

    def __init__(self, task, at):
        self._task, self._at, self.steps = task, at, task.steps

    def loss(self, step):
        if step == self._at:
            raise KeyboardInterrupt
        return self._task.loss(step)

    def state(self):
        return self._task.state()

    def restore(self, state):
        self._task.restore(state)


@pytest.fixture(scope="module")
def whole(tiny_model_dir, tmp_path_factory):
    """The log and the weights of a run that nothing interrupted, and its directory; nothing changes them."""
    directory = tmp_path_factory.mktemp("whole")
    lm, task = start(tiny_model_dir, NOW)
    log = train(lm, task, SETTINGS, directory=directory, fingerprint="f").log
    return log, weights(lm), directory


@pytest.mark.parametrize("killed_at", [1, 4, 5, 8])
def test_a_run_killed_at_any_step_and_resumed_equals_one_that_was_not(whole, tiny_model_dir, now, tmp_path, killed_at):
    log, expected, _ = whole
    lm, task = start(tiny_model_dir, now)
    with pytest.raises(KeyboardInterrupt):
        train(lm, Interrupted(task, killed_at), SETTINGS, directory=tmp_path / "cut", fingerprint="f")
    lm, task = start(tiny_model_dir, now)
    resumed = train(lm, task, SETTINGS, directory=tmp_path / "cut", fingerprint="f", resume=True)
    assert_same(weights(lm), expected)
    assert resumed.log == log


def test_training_lowers_the_loss(whole):
    log, _, _ = whole
    assert log[-1]["loss"] < log[0]["loss"] - 0.5


def test_only_the_last_checkpoint_is_kept_and_holds_no_pickle(whole):
    _, _, directory = whole
    assert [path.name for path in directory.iterdir()] == ["checkpoint-8"]
    names = sorted(path.name for path in (directory / "checkpoint-8").iterdir())
    assert names == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "optimizer.safetensors",
        "trainer_state.json",
    ]
    assert json.loads((directory / "checkpoint-8" / "trainer_state.json").read_text())["global_step"] == 8


def test_as_many_checkpoints_are_kept_as_were_asked_for_and_the_newest_is_resumed(tiny_model_dir, now, tmp_path, whole):
    settings = SETTINGS.model_copy(update={"save_total_limit": 3})
    lm, task = start(tiny_model_dir, now)
    with pytest.raises(KeyboardInterrupt):
        train(lm, Interrupted(task, 5), settings, directory=tmp_path, fingerprint="f")
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-2", "checkpoint-4"}
    lm, task = start(tiny_model_dir, now)
    assert train(lm, task, settings, directory=tmp_path, fingerprint="f", resume=True).log == whole[0]
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-4", "checkpoint-6", "checkpoint-8"}
    lm, task = start(tiny_model_dir, now)
    with pytest.raises(KeyboardInterrupt):  # a run anew takes those of the run before for none of its own
        train(lm, Interrupted(task, 3), settings, directory=tmp_path, fingerprint="f")
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-2"}


def test_a_checkpoint_of_another_run_is_refused(tiny_model_dir, now, tmp_path):
    lm, task = start(tiny_model_dir, now)
    train(lm, task, SETTINGS, directory=tmp_path, fingerprint="one")
    lm, task = start(tiny_model_dir, now)
    with pytest.raises(TrainingError, match="other settings or data"):
        train(lm, task, SETTINGS, directory=tmp_path, fingerprint="two", resume=True)


class NotANumber:
    steps = 3

    def __init__(self, lm):
        self._lm = lm

    def loss(self, step):
        total = sum(p.sum() for p in policy_parameters(self._lm).values())
        return StepLoss(total * (float("nan") if step == 2 else 1.0), {})

    def state(self):
        return {}

    def restore(self, state):
        pass


def test_a_loss_that_is_not_a_number_ends_the_run_and_keeps_the_last_checkpoint(tiny_model_dir, now, tmp_path):
    lm, _ = start(tiny_model_dir, now)
    settings = TrainerSettings(save_steps=1)
    with pytest.raises(TrainingError, match="got loss nan, gradient norm nan at step 2"):
        train(lm, NotANumber(lm), settings, directory=tmp_path, fingerprint="f")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]
    assert all(torch.isfinite(p).all() for p in policy_parameters(lm).values())


def test_a_disk_that_refuses_leaves_the_checkpoint_before_whole(tiny_model_dir, now, tmp_path, monkeypatch):
    lm, task = start(tiny_model_dir, now)
    real = os.replace
    calls = []

    def full(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr("assay.alignment.checkpoint.os.replace", full)
    with pytest.raises(StorageError, match="No space left on device.*--resume"):
        train(lm, task, SETTINGS, directory=tmp_path, fingerprint="f")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]


def train_and_say(directory, source, steps):
    """Train in this process and send each step that was taken."""
    lm, task = start(source, NOW)
    train(lm, task, SETTINGS, directory=directory, fingerprint="f", progress=lambda step, _: steps.send(step))


def test_a_run_killed_by_the_system_leaves_only_whole_checkpoints(tiny_model_dir, tmp_path):
    context = multiprocessing.get_context("fork")
    steps, theirs = context.Pipe(duplex=False)
    process = context.Process(target=train_and_say, args=(tmp_path, tiny_model_dir, theirs))
    process.start()
    theirs.close()
    while steps.recv() != 5:
        pass
    process.kill()
    process.join()
    steps.close()
    assert process.exitcode == -signal.SIGKILL
    checkpoints = [path for path in tmp_path.iterdir() if path.name.startswith("checkpoint-")]
    assert checkpoints
    for path in checkpoints:
        assert json.loads((path / "trainer_state.json").read_text())["global_step"] == int(path.name.split("-")[1])
        assert (path / "optimizer.safetensors").exists()


def test_every_row_comes_once_an_epoch():
    batches = epoch_batches(7, 3, epochs=2, seed=0)
    assert [len(batch) for batch in batches] == [3, 3, 1, 3, 3, 1]
    assert sorted(i for batch in batches[:3] for i in batch) == list(range(7))
    assert batches[:3] != batches[3:]


def test_no_demonstrations_are_refused(tiny_lm):
    with pytest.raises(TrainingError, match="at least one demonstration"):
        SftTask(tiny_lm, [], SETTINGS, seed=0)
