"""Runs: policy versions with their trail, the guard that stops, the kept checkpoint, exact resume of online runs."""

import numpy as np
import pytest
import torch
from alignment_cases import NOW, preference

from assay.alignment import (
    DpoSettings,
    OnlineDpoSettings,
    RunContext,
    SftSettings,
    TrainingRewards,
    Watched,
    run_dpo,
    run_online_dpo,
    run_sft,
)
from assay.alignment.measuring import spread_within
from assay.alignment.online_dpo import OnlineDpoTask
from assay.alignment.sampling import PolicySampler
from assay.lm import LoraSettings, Sampling, add_lora, completion_logprobs, load
from assay.lm.adapters import policy_parameters
from assay.lm.chat import EncodedPair, encode_prompt
from assay.monitors import MonitorBank, RuleMonitor
from assay.monitors.protocol import Finding
from assay.records.conversation import user_prompt
from assay.records.errors import TrainingError
from assay.records.judgement import Demonstration
from assay.storage import ArtifactStore

PROMPTS = [user_prompt(text) for text in ("Why is the sky blue?", "How do I sleep better?", "Capital of France?")]
ONLINE = OnlineDpoSettings(
    rounds=3,
    per_device_train_batch_size=2,
    max_completion_length=8,
    learning_rate=2e-2,
    save_steps=1,
    lora=LoraSettings(r=4, alpha=8, top_layers=2),
)


@pytest.fixture(scope="module")
def rewards(proxy):
    return TrainingRewards(proxy, proxy.with_aggregation("mean"))


@pytest.fixture
def context(workspace, tmp_path, now):
    def make(name, resume=False):
        return RunContext(name, workspace.artifacts, tmp_path / name, seed=5, now=lambda: now, resume=resume)

    return make


def alarm_at(step, action):
    def rule(history):
        return Finding("planted", 1.0, 0.5, {}) if history[-1].step >= step else None

    return MonitorBank([RuleMonitor("planted", action, frozenset({"alignment/kl"}), rule)])


def watched(rewards, bank=None):
    return Watched(PROMPTS, rewards, (), bank)


@pytest.fixture(scope="module")
def free(tiny_model_dir, rewards, tmp_path_factory):
    """A run that nothing stopped or interrupted: the model as it left it, and its policy."""
    place = tmp_path_factory.mktemp("free")
    lm, context = load(str(tiny_model_dir)), RunContext("free", ArtifactStore(place), place, seed=5, now=lambda: NOW)
    return lm, run_online_dpo(lm, ONLINE, context, watched(rewards), start=None)


def test_an_unwatched_run_takes_all_steps_and_measures_each_round(free):
    _, policy = free
    assert [c.step for c in policy.checkpoints] == [0, 2, 4, 6]
    assert policy.step == 6
    assert policy.stop_reason == "all steps taken"
    first, last = policy.checkpoints[0].observation.values, policy.checkpoints[-1].observation.values
    assert first["alignment/kl"] == pytest.approx(0.0, abs=1e-4)
    assert last["alignment/kl"] > 0.05
    assert first["completions/count"] == 6


def test_an_alarm_ends_the_run_and_the_checkpoint_before_it_is_kept(tiny_model_dir, rewards, context):
    bank = alarm_at(4, "roll_back_to_checkpoint")
    policy = run_online_dpo(load(str(tiny_model_dir)), ONLINE, context("guarded"), watched(rewards, bank), start=None)
    assert policy.steps_run == 4
    assert policy.step == 2
    assert policy.adapter == policy.checkpoints[1].adapter
    assert [(a.monitor, a.step) for a in policy.alarms] == [("planted", 4)]
    assert policy.stop_reason == "planted: planted"
    assert policy.monitors == ("planted",)


def test_an_alarm_that_asks_a_person_is_kept_and_the_run_goes_on(tiny_model_dir, rewards, context):
    bank = alarm_at(2, "ask_a_person")
    policy = run_online_dpo(load(str(tiny_model_dir)), ONLINE, context("asked"), watched(rewards, bank), start=None)
    assert policy.steps_run == 6
    assert [a.step for a in policy.alarms] == [2, 4, 6]


@pytest.mark.parametrize("killed_after", [1, 2, 3, 5])
def test_an_online_run_killed_and_resumed_equals_one_that_was_not(
    tiny_model_dir, rewards, free, context, monkeypatch, killed_after
):
    whole_lm, whole = free
    real = OnlineDpoTask.loss

    def killed(self, step):
        if step == killed_after:
            raise KeyboardInterrupt
        return real(self, step)

    other = context("other")
    monkeypatch.setattr(OnlineDpoTask, "loss", killed)
    with pytest.raises(KeyboardInterrupt):
        run_online_dpo(load(str(tiny_model_dir)), ONLINE, other, watched(rewards), start=None)
    monkeypatch.setattr(OnlineDpoTask, "loss", real)
    lm = load(str(tiny_model_dir))
    resumed = run_online_dpo(lm, ONLINE, context("other", resume=True), watched(rewards), start=None)
    assert resumed.checkpoints == whole.checkpoints
    for one, two in zip(policy_parameters(whole_lm).values(), policy_parameters(lm).values(), strict=True):
        assert torch.equal(one, two)


def test_sft_then_dpo_continues_from_the_sft_policy_and_measures_kl_to_it(tiny_model_dir, rewards, context, now):
    demos = [
        Demonstration(created_at=now, annotator="a", prompt=p, completion="Light scatters in the air.") for p in PROMPTS
    ]
    lora = LoraSettings(r=4, alpha=8)
    sft = run_sft(
        load(str(tiny_model_dir)), demos, SftSettings(num_train_epochs=4, learning_rate=1e-2, lora=lora), context("sft")
    )
    settings = DpoSettings(
        per_device_train_batch_size=4, measure_steps=2, max_completion_length=8, learning_rate=1e-2, lora=lora
    )
    preferences = [preference(i) for i in range(16)]
    dpo = run_dpo(load(str(tiny_model_dir)), preferences, settings, context("dpo"), watched(rewards), start=sft)
    assert dpo.ref_policy == sft.id
    assert [c.step for c in dpo.checkpoints] == [0, 2, 4]
    assert dpo.checkpoints[0].observation.values["alignment/kl"] == pytest.approx(0.0, abs=1e-4)
    assert dpo.adapter not in (None, sft.adapter)
    assert dpo.provenance.seed == 5


def test_samples_carry_the_log_probabilities_of_policy_and_reference(tiny_lm):
    add_lora(tiny_lm, LoraSettings(r=4), seed=0)
    with torch.no_grad():
        for parameter in policy_parameters(tiny_lm).values():
            parameter.add_(0.1)
    sampler = PolicySampler(tiny_lm, PROMPTS, Sampling(max_tokens=6, seed=1), n=2, ref_adapter=None)
    samples = sampler.at(0)
    pairs = [
        EncodedPair(encode_prompt(tiny_lm, PROMPTS[i]), ids)
        for i, ids in zip(samples.prompt_index, samples.token_ids, strict=True)
    ]
    policy = [float(np.sum(p)) for p in completion_logprobs(tiny_lm, pairs)]
    with tiny_lm.model.disable_adapter():
        reference = [float(np.sum(p)) for p in completion_logprobs(tiny_lm, pairs)]
    assert samples.logprobs == pytest.approx(policy, abs=1e-3)
    assert samples.ref_logprobs == pytest.approx(reference, abs=1e-3)
    assert samples.kl == pytest.approx(np.mean(policy) - np.mean(reference), abs=1e-3)
    assert sampler.at(0) is samples
    assert sampler.at(1).texts != samples.texts


def test_length_spread_is_that_within_prompts_where_prompts_repeat():
    values = np.array([10.0, 12.0, 50.0, 54.0])
    # Squared distances to 11 and 52: 1 + 1 + 4 + 4 = 10, over 4 values less 2 means.
    assert spread_within(values, [0, 0, 1, 1]) == pytest.approx(np.sqrt(10 / 2))
    assert spread_within(values, [0, 1, 2, 3]) == pytest.approx(values.std())


def test_the_last_step_is_measured_even_between_two_measurements(tiny_model_dir, rewards, context, now):
    settings = DpoSettings(per_device_train_batch_size=4, measure_steps=3, max_completion_length=6, learning_rate=1e-3)
    preferences = [preference(i) for i in range(16)]
    dpo = run_dpo(load(str(tiny_model_dir)), preferences, settings, context("odd"), watched(rewards), start=None)
    assert [c.step for c in dpo.checkpoints] == [0, 3, 4]
    assert dpo.step == 4


def test_a_run_with_another_seed_is_not_continued(tiny_model_dir, rewards, context, workspace, tmp_path, now):
    run_online_dpo(load(str(tiny_model_dir)), ONLINE, context("one"), watched(rewards), start=None)
    other = RunContext("one", workspace.artifacts, tmp_path / "one", seed=6, now=lambda: now, resume=True)
    with pytest.raises(TrainingError, match="other settings or data"):
        run_online_dpo(load(str(tiny_model_dir)), ONLINE, other, watched(rewards), start=None)
