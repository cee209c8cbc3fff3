"""Trackers hear what the run's own log says, once each, over an interruption too; one that fails costs no training."""

import sys
import types

import pytest
import torch
from alignment_cases import NOW
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from assay.alignment import trackers, tracking
from assay.alignment.runs import RunContext, run_sft
from assay.alignment.settings import SftSettings
from assay.alignment.trackers import MLflow, TensorBoard, Tracked, Wandb
from assay.alignment.tracking import Tracking
from assay.lm import LoraSettings, load
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError
from assay.records.judgement import Demonstration
from assay.records.observation import Observation
from assay.records.policy import CheckpointRecord
from assay.storage import ArtifactStore


def demonstration(number):
    return Demonstration(
        created_at=NOW,
        annotator="a",
        prompt=user_prompt(f"Question {number}?"),
        completion=f"Answer {number}.",
    )


def checkpoint(step, kl):
    return CheckpointRecord(step=step, adapter=None, observation=Observation(step=step, values={"alignment/kl": kl}))


def scalars(directory):
    events = EventAccumulator(str(directory / "tensorboard")).Reload()
    return {
        name: [(event.step, pytest.approx(event.value)) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def run_of(tmp_path, **changes):
    return Tracked("r", tmp_path, {"beta": 0.1}, lambda: NOW)._replace(**changes)


def sft(model_dir, tmp_path, *, resume=False, heard=None, **changes):
    plain = {"per_device_train_batch_size": 2, "num_train_epochs": 2, "save_steps": 1}
    settings = SftSettings(**plain | {"lora": LoraSettings(r=4, top_layers=1)} | changes)
    entries = {}

    def on_step(step, _steps, entry):
        entries[step] = entry
        if heard is not None:
            heard(step)

    context = RunContext(
        name="r",
        artifacts=ArtifactStore(tmp_path / "artifacts"),
        directory=tmp_path / "run",
        seed=1,
        now=lambda: NOW,
        resume=resume,
        on_step=on_step,
    )
    lm = load(str(model_dir), dtype=torch.float32)
    return run_sft(lm, [demonstration(i) for i in range(4)], settings, context), entries


def test_tensorboard_shows_every_number_of_every_step_by_default(tiny_model_dir, tmp_path):
    _, entries = sft(tiny_model_dir, tmp_path)
    shown = scalars(tmp_path / "run")
    assert sorted(entries) == [1, 2, 3, 4]
    for name in ("loss", "grad_norm", "learning_rate", "num_tokens"):
        assert [(step, entry[name]) for step, entry in entries.items()] == shown[f"train/{name}"]


def test_a_run_that_was_interrupted_shows_each_step_once(tiny_model_dir, tmp_path):
    def breaks(step):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sft(tiny_model_dir, tmp_path, heard=breaks)  # the third step was told, and is not in a checkpoint
    _, entries = sft(tiny_model_dir, tmp_path, resume=True)
    assert sorted(entries) == [3, 4]
    assert [step for step, _ in scalars(tmp_path / "run")["train/loss"]] == [1, 2, 3, 4]


def test_what_follows_a_run_changes_neither_its_policy_nor_what_may_go_on_with_it(tiny_model_dir, tmp_path):
    tracked, _ = sft(tiny_model_dir, tmp_path / "a")
    silent, _ = sft(tiny_model_dir, tmp_path / "b", report_to=())
    assert tracked.adapter == silent.adapter
    assert not (tmp_path / "b" / "run" / "tensorboard").exists()
    again, _ = sft(tiny_model_dir, tmp_path / "a", resume=True, report_to=())
    assert again.adapter == tracked.adapter


def test_checkpoints_are_told_once_and_in_the_order_of_the_steps(tmp_path, monkeypatch):
    told = []

    class Kept:
        def __init__(self, run):
            told.append(run.first_step)

        def log(self, values, step):
            told.append((step, dict(values)))

        def close(self):
            told.append("closed")

    monkeypatch.setattr(tracking, "OPENERS", {"tensorboard": Kept})
    with tracking.tracking(("tensorboard",), run_of(tmp_path)) as tracked:
        measured = [checkpoint(0, 0.0), checkpoint(2, 0.5)]
        # A run that goes on after step 2: the checkpoint of step 0 was told before it was interrupted.
        tracked.on_step(3, {"step": 3, "loss": 1.0}, measured)
        tracked.on_step(4, {"step": 4, "loss": 0.9}, measured)
        tracked.on_checkpoints([*measured, checkpoint(4, 0.7)])
    assert told == [
        3,
        (2, {"alignment/kl": 0.5}),
        (3, {"train/loss": 1.0}),
        (4, {"train/loss": 0.9}),
        (4, {"alignment/kl": 0.7}),
        "closed",
    ]


@pytest.mark.parametrize("fails_in", ["__init__", "log", "close"])
def test_a_tracker_that_fails_is_told_of_once_and_the_run_goes_on(tiny_model_dir, tmp_path, monkeypatch, fails_in):
    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    class Broken(TensorBoard):
        pass

    setattr(Broken, fails_in, fail)
    monkeypatch.setattr(tracking, "OPENERS", {"tensorboard": Broken})
    with pytest.warns(RuntimeWarning, match="tensorboard no longer follows this run .*No space left") as warned:
        policy, entries = sft(tiny_model_dir, tmp_path)
    assert len([one for one in warned if "no longer follows" in str(one.message)]) == 1
    assert policy.steps_run == len(entries) == 4


def test_trackers_that_are_not_installed_are_named_together_before_anything_runs(tiny_model_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"mlflow and wandb to be installed.*assay\[mlflow\].*assay\[wandb\]"):
        sft(tiny_model_dir, tmp_path, report_to=("mlflow", "wandb"))
    assert not (tmp_path / "run").exists()


def test_a_step_is_hidden_that_a_resume_takes_again(tmp_path):
    first = TensorBoard(run_of(tmp_path))
    first.log({"x": 1.0}, 1)
    first.log({"x": 2.0}, 2)
    first.close()
    second = TensorBoard(run_of(tmp_path, first_step=2))
    second.log({"x": 5.0}, 2)
    second.close()
    assert scalars(tmp_path)["x"] == [(1, 1.0), (2, 5.0)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of SQLAlchemy, for what MLflow asks of it
def test_mlflow_keeps_a_run_of_its_own_over_a_resume_and_calls_nobody(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for first, loss in ((1, 2.0), (2, 1.0)):
        tracker = MLflow(run_of(tmp_path, first_step=first))
        tracker.log({"train/loss": loss, "train/rewards/margins": 0.5}, first)
        tracker.close()
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("assay").experiment_id])
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "train/loss")] == [(1, 2.0), (2, 1.0)]
    assert {m.timestamp for m in client.get_metric_history(run.info.run_id, "train/loss")} == {NOW.timestamp() * 1000}
    assert (run.info.status, run.data.params) == ("FINISHED", {"beta": "0.1"})
    assert mlflow.telemetry.utils.is_telemetry_disabled()


def test_wandb_writes_offline_unless_it_is_told_otherwise(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    tracker = Wandb(run_of(tmp_path))
    tracker.log({"train/loss": 2.0}, 1)
    assert tracker._run.settings.mode == "offline"
    tracker.close()
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def test_wandb_gets_name_settings_and_project(tmp_path, monkeypatch):
    asked = {}
    stub = types.SimpleNamespace(init=lambda **kwargs: asked.update(kwargs), Settings=dict)
    monkeypatch.setitem(sys.modules, "wandb", stub)
    Wandb(run_of(tmp_path))
    assert (asked["project"], asked["name"], asked["config"]) == ("assay", "r", {"beta": 0.1})


def test_without_trackers_nothing_is_opened(tmp_path):
    quiet = Tracking((), run_of(tmp_path))
    quiet.on_step(1, {"loss": 1.0})
    quiet.close()
    assert list(tmp_path.iterdir()) == []
