"""Hybrid and GRPO runs: policy versions with their trail, the data they name, the guard that stops."""

import pytest
from alignment_cases import NOW, preference

from assay.alignment import (
    DpoSettings,
    GrpoSettings,
    RunContext,
    TrainingRewards,
    Watched,
    run_dpo,
    run_grpo,
)
from assay.lm import LoraSettings, load
from assay.monitors import MonitorBank, RuleMonitor
from assay.monitors.protocol import Finding
from assay.records.conversation import user_prompt
from assay.records.judgement import Demonstration

PROMPTS = [user_prompt(text) for text in ("Why is the sky blue?", "Capital of France?")]
LORA = LoraSettings(r=4, alpha=8, top_layers=2, targets=("q_proj", "v_proj"))


@pytest.fixture(scope="module")
def rewards(proxy):
    return TrainingRewards(proxy, None)


@pytest.fixture
def context(workspace, tmp_path, now):
    return lambda name: RunContext(name, workspace.artifacts, tmp_path / name, seed=5, now=lambda: now)


def test_a_grpo_run_measures_each_round_and_is_stopped_by_an_alarm(tiny_model_dir, rewards, context):
    def rule(history):
        return Finding("planted", 1.0, 0.5, {}) if history[-1].step >= 4 else None

    bank = MonitorBank([RuleMonitor("planted", "stop", frozenset({"alignment/kl"}), rule)])
    settings = GrpoSettings(
        rounds=3, num_generations=4, per_device_train_batch_size=4, max_completion_length=6, lora=LORA
    )
    policy = run_grpo(
        load(str(tiny_model_dir)), settings, context("grpo"), Watched(PROMPTS, rewards, (), bank), start=None
    )
    assert policy.method == "grpo"
    assert [checkpoint.step for checkpoint in policy.checkpoints] == [0, 2, 4]
    assert (policy.steps_run, policy.step) == (4, 2)
    assert policy.stop_reason == "planted: planted"
    assert policy.checkpoints[0].observation.values["alignment/kl"] == pytest.approx(0.0, abs=1e-4)


def test_a_hybrid_run_names_its_demonstrations_and_a_plain_one_does_not(tiny_model_dir, rewards, context):
    demos = [Demonstration(created_at=NOW, annotator="a", prompt=p, completion="Light scatters.") for p in PROMPTS]

    def run(name, share, demonstrations):
        settings = DpoSettings(
            per_device_train_batch_size=4, max_completion_length=4, demonstrations_share=share, lora=LORA
        )
        watched = Watched(PROMPTS, rewards, (), None)
        lm, rows = load(str(tiny_model_dir)), [preference(i) for i in range(8)]
        return run_dpo(lm, rows, settings, context(name), watched, start=None, demonstrations=demonstrations)

    plain, given, mixed = run("plain", 0.0, ()), run("given", 0.0, demos), run("mixed", 0.5, demos)
    assert given.adapter == plain.adapter != mixed.adapter
    assert given.provenance.data_hash == plain.provenance.data_hash != mixed.provenance.data_hash
