"""TRL 1.16 under Assay's monitors: its GRPO and DPO trainers are watched, ended, steered, resumed and audited.

Runs with the extra `peers`: make peers.
"""

from datetime import UTC, datetime

import pytest

from assay.alignment.transformers_callback import MonitorCallback
from assay.monitors import MonitorBank, RuleMonitor, build_monitors
from assay.monitors.audit import audit_run
from assay.monitors.protocol import Finding
from assay.monitors.run_files import find_run_file, read_trail
from assay.monitors.run_log import RUN_LOG, read_run_log
from assay.monitors.trainer_state import trail_of_trainer_state

pytestmark = pytest.mark.peers

PROMPTS = ["Why is the sky blue?", "How do I sleep better?", "What is the capital of France?", "Who are you?"]


def now():
    return datetime(2026, 1, 1, tzinfo=UTC)


def likes_the_letter_e(completions, **kwargs):
    texts = [completion[0]["content"] for completion in completions]
    return [text.count("e") / (1 + len(text)) for text in texts]


def grpo(model_dir, output_dir, callback, *, reward=likes_the_letter_e, **changes):
    """TRL's own GRPO trainer on a tiny model, 8 completions a step, logged every step."""
    trl = pytest.importorskip("trl", reason="TRL is an optional extra: install it with `make peers`")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    settings = {
        "beta": 0.04,
        "learning_rate": 5e-3,
        "max_steps": 6,
        "save_steps": 1,
        "logging_steps": 1,
        "num_generations": 4,
        "max_completion_length": 8,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "lr_scheduler_type": "constant",
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 1,
    }
    rows = [{"prompt": [{"role": "user", "content": prompt}]} for prompt in PROMPTS]
    trainer = trl.GRPOTrainer(
        AutoModelForCausalLM.from_pretrained(model_dir),
        reward_funcs=reward,
        args=trl.GRPOConfig(output_dir=str(output_dir), **settings | changes),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(model_dir),
        callbacks=[callback],
    )
    callback.steer(trainer)
    return trainer


def dpo(model_dir, output_dir, callback):
    """TRL's own DPO trainer on the same tiny model."""
    trl = pytest.importorskip("trl", reason="TRL is an optional extra: install it with `make peers`")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def turn(role, content):
        return [{"role": role, "content": content}]

    rows = [
        {
            "prompt": turn("user", prompt),
            "chosen": turn("assistant", f"Light, and {prompt}"),
            "rejected": turn("assistant", "No."),
        }
        for prompt in PROMPTS
    ]
    settings = {
        "learning_rate": 1e-3,
        "max_steps": 3,
        "save_steps": 1,
        "logging_steps": 1,
        "per_device_train_batch_size": 2,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    trainer = trl.DPOTrainer(
        AutoModelForCausalLM.from_pretrained(model_dir),
        args=trl.DPOConfig(output_dir=str(output_dir), **settings),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(model_dir),
        callbacks=[callback],
    )
    callback.steer(trainer)
    return trainer


def over(nats, action):
    return build_monitors({"kl_budget": {"budget_nats": nats, "action": action}})


def test_grpo_is_ended_by_the_kl_that_it_logs_itself_and_the_checkpoint_before_is_named(tiny_model_dir, tmp_path):
    callback = MonitorCallback(now=now, completions=64, monitors=over(1.0, "stop"))
    trainer = grpo(tiny_model_dir, tmp_path, callback)
    trainer.train()
    rang = callback.alarms[0]
    assert trainer.state.global_step == rang.step < trainer.state.max_steps
    logged = trainer.state.log_history[rang.step - 1]
    assert rang.value == pytest.approx(logged["kl"] * logged["completions/mean_length"])
    assert callback.keep.checkpoint == tmp_path / f"checkpoint-{rang.step - 1}"
    assert (callback.keep.checkpoint / "model.safetensors").exists()
    trail = read_trail(find_run_file(tmp_path))
    assert (trail.method, trail.kept_step) == ("GRPOTrainer", rang.step - 1)
    assert audit_run(trail, MonitorBank([]), now=now()).is_clean


def test_the_kl_of_a_completion_is_the_mean_a_token_times_the_mean_length(tiny_model_dir, tmp_path):
    callback = MonitorCallback(now=now, completions=64)
    trainer = grpo(tiny_model_dir, tmp_path, callback, max_steps=2)
    sums = []
    real = trainer._compute_loss

    def spying(model, inputs):
        loss = real(model, inputs)
        metrics = trainer._metrics["train"]
        tokens = float(inputs["completion_mask"].sum())
        sums.append(metrics["kl"][-1] * tokens / len(inputs["completion_mask"]))
        return loss

    trainer._compute_loss = spying
    trainer.train()
    seen = [entry.observation for entry in read_run_log(tmp_path / RUN_LOG) if entry.kind == "seen"]
    assert [one.values["alignment/kl"] for one in seen] == pytest.approx(sums, abs=1e-5)
    assert sums[1] > 0


def test_grpo_goes_on_with_a_raised_beta(tiny_model_dir, tmp_path):
    callback = MonitorCallback(now=now, completions=64, monitors=over(1.0, "raise_kl_coef"), kl_raise_limit=4)
    trainer = grpo(tiny_model_dir, tmp_path, callback)
    trainer.train()
    assert trainer.state.global_step == trainer.state.max_steps
    assert 0.04 < trainer.beta <= 0.16


def test_grpo_that_was_interrupted_resumes_with_the_same_beta_and_the_whole_log(tiny_model_dir, tmp_path):
    def callback():
        return MonitorCallback(now=now, completions=64, monitors=over(1.0, "raise_kl_coef"), kl_raise_limit=4)

    grpo(tiny_model_dir, tmp_path, callback()).train()
    first = read_run_log(tmp_path / RUN_LOG)
    second = callback()
    trainer = grpo(tiny_model_dir, tmp_path, second)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    resumed = read_run_log(tmp_path / RUN_LOG)
    steps = [entry.observation.step for entry in resumed if entry.kind == "seen"]
    assert steps == [1, 2, 3, 4, 5, 6]
    before = [entry for entry in resumed if entry.kind == "seen"][:4]
    assert before == [entry for entry in first if entry.kind == "seen"][:4]
    assert trainer.beta == pytest.approx(0.04 * min(4, 2 ** len(second.alarms)))


def test_few_completions_a_step_are_put_together_before_the_monitors_look(tiny_model_dir, tmp_path):
    callback = MonitorCallback(now=now)
    grpo(tiny_model_dir, tmp_path, callback, max_steps=9, save_steps=9).train()
    (seen,) = [entry.observation for entry in read_run_log(tmp_path / RUN_LOG) if entry.kind == "seen"]
    assert (seen.step, seen.values["completions/count"]) == (8, 64)


def test_a_metric_that_a_reward_function_logs_reaches_its_monitor(tiny_model_dir, tmp_path):
    def reward(completions, log_metric, trainer_state, **kwargs):
        log_metric("completions/repetition", 0.1 + 0.2 * trainer_state.global_step)
        return likes_the_letter_e(completions)

    callback = MonitorCallback(now=now, completions=64, monitors=build_monitors({"repetition": {}}))
    grpo(tiny_model_dir, tmp_path, callback, reward=reward).train()
    assert [alarm.monitor for alarm in callback.alarms] == ["repetition"]


def test_the_weights_of_reward_functions_are_in_their_components(tiny_model_dir, tmp_path):
    def constant(completions, **kwargs):
        return [1.0] * len(completions)

    callback = MonitorCallback(now=now, completions=64, monitors=over(99.0, "stop"))
    changes = {"max_steps": 1, "reward_weights": [0.5, 3.0]}
    grpo(tiny_model_dir, tmp_path, callback, reward=[likes_the_letter_e, constant], **changes).train()
    (seen,) = [entry.observation.values for entry in read_run_log(tmp_path / RUN_LOG) if entry.kind == "seen"]
    assert seen["components/constant"] == 3.0
    assert seen["components/likes_the_letter_e"] == pytest.approx(0.5 * seen["rewards/likes_the_letter_e/mean"])
    assert seen["components/constant"] + seen["components/likes_the_letter_e"] == pytest.approx(seen["reward"])


def test_a_state_that_trl_saved_is_audited_without_a_callback(tiny_model_dir, tmp_path):
    class Nothing(MonitorCallback):
        def on_train_begin(self, *args, **kwargs):
            pass

        def on_log(self, *args, **kwargs):
            pass

        def on_train_end(self, *args, **kwargs):
            pass

    grpo(tiny_model_dir, tmp_path, Nothing(now=now)).train()
    file = find_run_file(tmp_path)
    assert file == tmp_path / "checkpoint-6" / "trainer_state.json"
    trail = trail_of_trainer_state(file, completions=64)
    assert trail.ended == "all steps taken"
    found = audit_run(trail, MonitorBank(over(1.0, "stop")), now=now())
    assert found.is_replayed
    assert found.ignored
    blind = audit_run(trail, MonitorBank(build_monitors({"repetition": {}})), now=now())
    assert blind.silent == {"repetition": {"completions/repetition"}}


def test_dpo_logs_nothing_that_the_monitors_of_samples_read_and_the_audit_says_so(tiny_model_dir, tmp_path):
    monitors = build_monitors({"kl_budget": {}, "length_drift": {}, "repetition": {}})
    callback = MonitorCallback(now=now, monitors=monitors)
    trainer = dpo(tiny_model_dir, tmp_path, callback)
    trainer.train()
    assert trainer.state.global_step == 3
    trail = read_trail(find_run_file(tmp_path))
    assert [seen.step for seen in trail.observations] == [1, 2, 3]
    assert "rewards/margins" in trail.observations[-1].values
    assert audit_run(trail, MonitorBank(monitors), now=now()).is_blind


def test_dpo_under_a_monitor_of_ones_own_is_steered(tiny_model_dir, tmp_path):
    def rule(history):
        return Finding("planted", 1.0, 0.5, {"at": 1.0}) if history[-1].step >= 2 else None

    monitor = RuleMonitor("planted", "raise_kl_coef", frozenset({"rewards/margins"}), rule)
    trainer = dpo(tiny_model_dir, tmp_path, MonitorCallback(now=now, monitors=[monitor]))
    before = trainer.beta
    trainer.train()
    assert trainer.beta == pytest.approx(4 * before)
