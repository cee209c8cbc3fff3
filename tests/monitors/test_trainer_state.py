"""Trainer state: TRL's numbers under Assay's names, worked by hand; too few completions wait; nothing is made up."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_runs import NOW

from assay.monitors import MonitorBank, build_monitors, default_monitors
from assay.monitors.audit import audit_run
from assay.monitors.trainer_state import TrainerLog, read_log_history, trail_of_trainer_state
from assay.records.errors import ConfigError, InputError


def entry(step, **changes):
    """What TRL 1.16's GRPO trainer logs at a step, less what is of no interest here."""
    logged = {
        "loss": 0.01,
        "grad_norm": 5.0,
        "learning_rate": 1e-5,
        "completions/mean_length": 40.0,
        "completions/min_length": 30.0,
        "completions/max_length": 60.0,
        "completions/clipped_ratio": 0.25,
        "rewards/judge/mean": 2.0,
        "reward": 2.0,
        "reward_std": 0.5,
        "kl": 0.05,
        "entropy": 2.0,
        "epoch": 0.1,
        "step": step,
    }
    return logged | changes


def test_the_numbers_of_grpo_stand_under_our_names():
    first, second = read_log_history([entry(1), entry(2, reward=2.75, kl=0.1)], completions=64)
    assert (first.step, second.step) == (1, 2)
    values = second.values
    assert values["alignment/kl"] == pytest.approx(0.1 * 40)  # nats a token times tokens
    assert values["alignment/sqrt_kl"] == pytest.approx(2.0)
    assert first.values["alignment/proxy_reward"] == 0.0
    assert values["alignment/proxy_reward"] == pytest.approx((2.75 - 2.0) / 0.5)
    assert values["completions/length_sd"] == pytest.approx(math.sqrt((60 - 40) * (40 - 30)))
    assert values["completions/finished_rate"] == pytest.approx(0.75)
    assert values["completions/count"] == 64
    assert values["alignment/loss"] == 0.01
    assert values["alignment/entropy"] == values["entropy"] == 2.0
    assert "step" not in values
    assert "epoch" not in values


@given(st.lists(st.integers(1, 200), min_size=2, max_size=50))
def test_the_spread_of_lengths_is_never_understated(lengths):
    logged = {
        "completions/mean_length": float(np.mean(lengths)),
        "completions/min_length": float(min(lengths)),
        "completions/max_length": float(max(lengths)),
    }
    observation = TrainerLog().read(logged, 1)
    assert observation.values["completions/length_sd"] >= np.std(lengths) - 1e-6


def test_entries_of_few_completions_are_put_together_until_they_are_enough():
    history = [
        entry(
            step, **{"reward": float(step), "completions/min_length": 30.0 - step, "completions/max_length": 50 + step}
        )
        for step in range(1, 6)
    ]
    (observation,) = read_log_history(history, completions=16)  # 4 entries make 64; the fifth waits
    assert observation.step == 4
    values = observation.values
    assert values["completions/count"] == 64
    assert values["reward"] == pytest.approx(2.5)
    assert values["completions/length_sd"] == pytest.approx(math.sqrt((54 - 40) * (40 - 26)))


def test_a_metric_that_some_entries_lack_is_the_mean_of_those_that_have_it():
    (observation,) = read_log_history([entry(1, reward=1.0), entry(2, reward=None)], completions=32)
    assert observation.values["reward"] == 1.0


def test_where_nobody_knows_how_many_completions_there_were_no_count_is_made_up():
    (observation,) = read_log_history([entry(1)])
    assert "completions/count" not in observation.values


def test_evaluation_and_summaries_are_no_checkpoints():
    history = [entry(1), {"eval_reward": 9.0, "step": 1}, {"train_runtime": 3.0, "train_loss": 0.1, "step": 1}]
    assert [one.step for one in read_log_history(history)] == [1]


def test_numbers_that_are_none_or_not_finite_are_left_out():
    (observation,) = read_log_history([entry(1, kl=None, reward=float("nan"), entropy=float("inf"))])
    assert {"kl", "alignment/kl", "reward", "entropy", "alignment/proxy_reward"} & set(observation.values) == set()


def test_a_reward_without_spread_waits_for_one_that_has_it():
    first, second, third = read_log_history([entry(1, reward_std=0.0), entry(2, reward=3.0), entry(3, reward=4.0)])
    assert "alignment/proxy_reward" not in first.values
    assert second.values["alignment/proxy_reward"] == 0.0
    assert third.values["alignment/proxy_reward"] == pytest.approx(2.0)


def test_the_mismatched_kl_of_kto_is_not_read_as_the_kl_of_the_policy():
    (observation,) = read_log_history([{"loss": 0.5, "kl": 7.0, "rewards/chosen": 0.1, "step": 1}])
    assert "alignment/kl" not in observation.values
    (older,) = read_log_history([{"loss": 0.5, "objective/kl": 7.0, "step": 1}])
    assert older.values["alignment/kl"] == 7.0


def test_a_metric_that_a_reward_function_logged_under_our_name_reaches_the_monitors():
    logged = {"watch/panel_reward": 0.3, "rewards/disagreement": 0.4, "alignment/kl": 1.0}
    (observation,) = read_log_history([entry(1, **logged)])
    assert observation.values["watch/panel_reward"] == 0.3
    assert observation.values["rewards/disagreement"] == 0.4
    assert observation.values["alignment/kl"] == 1.0


def test_each_reward_function_is_a_component_with_its_weight():
    logged = entry(1, **{"rewards/format/mean": 0.5, "rewards/format/std": 0.1, "rewards/judge/std": 0.4})
    values = TrainerLog(weights={"format": -2.0}).read(logged, 1).values
    assert {name: value for name, value in values.items() if name.startswith("components/")} == {
        "components/judge": 2.0,
        "components/judge_sd": 0.4,
        "components/format": -1.0,
        "components/format_sd": 0.2,
    }


def test_the_entropy_on_answers_of_the_data_is_not_read_as_that_of_the_policys_own():
    (observation,) = read_log_history([{"loss": 0.5, "entropy": 2.0, "rewards/chosen": 0.1, "step": 1}])
    assert "alignment/entropy" not in observation.values


def test_fewer_than_one_completion_is_refused():
    with pytest.raises(ConfigError, match="at least one completion"):
        TrainerLog(0)


@pytest.fixture
def state(tmp_path):
    def write(history, **changes):
        path = tmp_path / "checkpoint-4" / "trainer_state.json"
        path.parent.mkdir(exist_ok=True)
        content = {"log_history": history, "global_step": 4, "max_steps": 8, "train_batch_size": 8}
        path.write_text(json.dumps(content | changes))
        return path

    return write


def test_a_saved_state_is_a_run_that_nobody_watched_and_it_says_which_monitors_had_to_be_silent(state):
    history = [entry(step, kl=0.05 * step) for step in range(1, 5)]
    trail = trail_of_trainer_state(state(history))
    assert (trail.steps, trail.ended, trail.monitors) == (8, None, ())
    bank = MonitorBank(build_monitors({"kl_budget": {"budget_nats": 5}, "repetition": {}, "length_drift": {}}))
    found = audit_run(trail, bank, now=NOW)
    assert found.is_replayed
    # The KL is 2, 4, 6 and 8 nats; without a count `length_drift` cannot tell chance from drift.
    assert [(alarm.monitor, alarm.step) for alarm in found.ignored] == [("kl_budget", 3), ("kl_budget", 4)]
    assert found.silent == {"repetition": {"completions/repetition"}, "length_drift": {"completions/count"}}
    assert audit_run(trail, MonitorBank(build_monitors({"kl_budget": {"budget_nats": 5}})), now=NOW, step=2).is_clean


def test_answers_that_grow_are_caught_from_lengths_alone(state):
    history = [
        entry(step, **{"completions/mean_length": 40.0 + 4 * step, "completions/max_length": 90}) for step in range(9)
    ]
    found = audit_run(trail_of_trainer_state(state(history), completions=128), MonitorBank(default_monitors()), now=NOW)
    assert "length_drift" in {alarm.monitor for alarm in found.ignored}


def test_a_log_of_dpo_has_nothing_that_the_monitors_read_and_that_is_no_clean_bill(state):
    history = [{"loss": 0.6, "rewards/margins": 0.1 * step, "logps/chosen": -90.0, "step": step} for step in range(4)]
    bank = MonitorBank(build_monitors({"kl_budget": {}, "repetition": {}}))
    found = audit_run(trail_of_trainer_state(state(history)), bank, now=NOW)
    assert not found.ignored
    assert found.is_blind
    assert not found.is_clean


def test_a_state_at_its_last_step_has_ended(state):
    assert trail_of_trainer_state(state([entry(8)], global_step=8)).ended == "all steps taken"


@pytest.mark.parametrize("content", ["", "[]", '{"log_history": 3}', '{"log_history": []}', '{"log_history": [1]}'])
def test_a_file_that_is_no_trainers_state_is_refused(tmp_path, content):
    path = tmp_path / "trainer_state.json"
    path.write_text(content)
    with pytest.raises(InputError, match="trainer"):
        trail_of_trainer_state(path)
