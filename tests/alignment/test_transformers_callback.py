"""Transformers callback: a fake trainer's logs reach the monitors, and each action is done; no TRL is needed."""

import logging
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from transformers import TrainerControl, TrainerState

from assay.alignment.transformers_callback import MonitorCallback, completions_per_entry
from assay.monitors import MonitorBank, RuleMonitor, build_monitors
from assay.monitors.audit import audit_run
from assay.monitors.protocol import Finding
from assay.monitors.run_files import find_run_file, read_trail
from assay.monitors.run_log import RUN_LOG, read_run_log

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeTrainer:
    """Logs a KL of `step` nats a completion at each step, saves each step, and obeys the control as the real one."""

    def __init__(self, directory, callback, *, beta=0.1, rank=0):
        self.beta, self._callback = beta, callback
        self._args = SimpleNamespace(
            output_dir=str(directory),
            num_generations=4,
            per_device_train_batch_size=16,
            gradient_accumulation_steps=4,
            world_size=2,
            num_iterations=2,
        )
        self._rank = rank
        self._directory = directory
        self.betas = []

    def train(self, steps, *, resume_from=None):
        history = [] if resume_from is None else self.state.log_history[:resume_from]
        self.state = TrainerState(
            max_steps=steps,
            logging_steps=1,
            log_history=history,
            global_step=resume_from or 0,
            is_world_process_zero=self._rank == 0,
        )
        self.control = TrainerControl()
        self._callback.on_train_begin(self._args, self.state, self.control)
        for step in range((resume_from or 0) + 1, steps + 1):
            self.betas.append(self.beta)
            self.state.global_step = step
            logs = {"loss": 0.1, "kl": step / 10, "completions/mean_length": 10.0, "epoch": 0.1}
            self.state.log_history.append({**logs, "step": step})
            self._callback.on_log(self._args, self.state, self.control, logs)
            if self._rank == 0:
                (self._directory / f"checkpoint-{step}").mkdir(parents=True, exist_ok=True)
            if self.control.should_training_stop:
                break
        self._callback.on_log(self._args, self.state, self.control, {"train_runtime": 1.0})
        self._callback.on_train_end(self._args, self.state, self.control)
        return self


def train(directory, *, steps=5, steered=True, beta=0.1, rank=0, **given):
    callback = MonitorCallback(now=lambda: NOW, **given)
    trainer = FakeTrainer(directory, callback, beta=beta, rank=rank)
    if steered:
        callback.steer(trainer)
    return callback, trainer.train(steps)


def budget(action, *, nats=2.5):
    return build_monitors({"kl_budget": {"budget_nats": nats, "action": action}})


def said(directory):
    return [(entry.step, entry.said) for entry in read_run_log(directory / RUN_LOG) if entry.kind == "acted"]


def test_a_healthy_run_goes_to_its_end_and_leaves_a_log_that_can_be_audited(tmp_path):
    callback, trainer = train(tmp_path, monitors=budget("stop", nats=99))
    assert (trainer.state.global_step, callback.keep, callback.alarms) == (5, None, [])
    trail = read_trail(find_run_file(tmp_path))
    assert [seen.values["alignment/kl"] for seen in trail.observations] == pytest.approx([1, 2, 3, 4, 5])
    assert trail.observations[0].values["completions/count"] == 64  # 16 x 4 steps x 2 processes / 2 uses of each
    assert (trail.method, trail.monitors, trail.steps) == ("FakeTrainer", ("kl_budget",), 5)
    assert (trail.kept_step, trail.ended) == (5, "all steps taken")
    assert audit_run(trail, MonitorBank([]), now=NOW).is_clean


@pytest.mark.parametrize("action", ["stop", "roll_back_to_checkpoint"])
def test_an_ending_alarm_stops_the_trainer_and_names_the_checkpoint_to_take(tmp_path, action, caplog):
    callback, trainer = train(tmp_path, monitors=budget(action))
    assert trainer.state.global_step == 3
    assert callback.keep.checkpoint == tmp_path / "checkpoint-2"
    assert callback.keep.alarm.monitor == "kl_budget"
    assert said(tmp_path) == [(3, "training ends; take checkpoint-2, not the model in memory")]
    assert "take checkpoint-2" in caplog.text
    trail = read_trail(find_run_file(tmp_path))
    assert trail.kept_step == 2
    assert audit_run(trail, MonitorBank([]), now=NOW).is_clean
    assert not audit_run(trail, MonitorBank([]), now=NOW, step=3).is_clean


def test_a_roll_back_goes_to_the_checkpoint_that_the_evidence_names(tmp_path):
    def rule(history):
        return Finding("worse", 1.0, 0.5, {"best_step": 1.0}) if history[-1].step == 4 else None

    monitor = RuleMonitor("planted", "roll_back_to_checkpoint", frozenset({"alignment/kl"}), rule)
    callback, _ = train(tmp_path, monitors=[monitor])
    assert callback.keep.checkpoint == tmp_path / "checkpoint-1"


def test_without_a_checkpoint_from_before_the_alarm_it_says_so_and_the_audit_fails(tmp_path):
    callback, _ = train(tmp_path, monitors=budget("stop", nats=0.5))
    assert callback.keep.checkpoint is None
    assert "no checkpoint from before the alarm" in said(tmp_path)[0][1]
    assert not audit_run(read_trail(find_run_file(tmp_path)), MonitorBank([]), now=NOW).is_clean


def test_beta_rises_at_each_alarm_up_to_its_limit_and_training_goes_on(tmp_path):
    _, trainer = train(tmp_path, steps=6, monitors=budget("raise_kl_coef"), kl_raise_factor=2, kl_raise_limit=5)
    assert trainer.betas == pytest.approx([0.1, 0.1, 0.1, 0.2, 0.4, 0.5])
    assert [step for step, _ in said(tmp_path)] == [3, 4, 5, 6]


@pytest.mark.parametrize("how", [{"steered": False}, {"beta": 0.0}])
def test_a_beta_that_cannot_rise_is_told(tmp_path, how):
    _, trainer = train(tmp_path, steps=3, monitors=budget("raise_kl_coef"), **how)
    assert len(set(trainer.betas)) == 1
    assert said(tmp_path) == [(3, "beta stays as it is: the trainer keeps no reference, or `steer` was not called")]


def test_a_person_is_asked_in_the_log_and_training_goes_on(tmp_path, caplog):
    _, trainer = train(tmp_path, steps=3, monitors=budget("ask_a_person"))
    assert trainer.state.global_step == 3
    assert "a person is asked to look: KL to the reference is 3.0 nats" in said(tmp_path)[0][1]
    assert "a person is asked to look" in caplog.text


def test_a_resumed_run_has_the_beta_the_alarms_and_the_log_of_one_that_was_not_interrupted(tmp_path):
    given = {"monitors": budget("raise_kl_coef"), "kl_raise_limit": 4}
    whole, expected = train(tmp_path / "whole", steps=6, **given)
    given["monitors"] = budget("raise_kl_coef")
    callback = MonitorCallback(now=lambda: NOW, **given)
    trainer = FakeTrainer(tmp_path / "cut", callback)
    callback.steer(trainer)
    trainer.train(5).train(6, resume_from=4)
    assert trainer.betas == expected.betas[:5] + expected.betas[4:]
    assert callback.alarms == whole.alarms
    logs = [(tmp_path / name / RUN_LOG).read_text().replace('"cut"', '"whole"') for name in ("whole", "cut")]
    assert logs[0] == logs[1]


def test_a_run_that_is_resumed_after_an_ending_alarm_still_has_to_go_back_before_it(tmp_path):
    callback, trainer = train(tmp_path, monitors=budget("stop"))
    trainer.train(5, resume_from=3)
    assert trainer.state.global_step == 4
    assert [alarm.step for alarm in callback.alarms] == [3, 4]
    assert callback.keep.checkpoint == tmp_path / "checkpoint-2"


def test_only_the_first_process_writes_but_all_of_them_stop(tmp_path):
    callback, trainer = train(tmp_path, monitors=budget("stop"), rank=1)
    assert trainer.state.global_step == 3
    assert callback.keep is not None
    assert not (tmp_path / RUN_LOG).exists()


def test_monitors_that_cannot_judge_are_named_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        train(tmp_path)
    warned = [record.getMessage() for record in caplog.records if "cannot judge" in record.getMessage()]
    assert len(warned) == 1
    assert "repetition lacks completions/repetition" in warned[0]
    assert "kl_budget" not in warned[0]


def test_how_many_completions_an_entry_has_is_known_of_trainers_that_sample_alone():
    args = SimpleNamespace(per_device_train_batch_size=8, gradient_accumulation_steps=2, world_size=3)
    state = SimpleNamespace(logging_steps=5)
    assert completions_per_entry(args, state) is None
    args.num_generations = 4
    assert completions_per_entry(args, state) == 8 * 2 * 3 * 5
