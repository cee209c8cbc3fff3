"""Component monitors in real runs: a planted hack of one part rings while the sum rises, and a used-up reward rings."""

import pytest
from alignment_cases import GREEDY, NOW

from assay.alignment import GrpoSettings, RunContext, TrainingRewards, Watched, run_grpo
from assay.lm import load
from assay.monitors import MonitorBank, build_monitors
from assay.records.conversation import user_prompt
from assay.records.identity import ScorerIdentity
from assay.rewards.composite import CompositeReward, Part
from assay.rewards.rules import build_rules

PROMPTS = [user_prompt(text) for text in ("Why is the sky blue?", "Capital of France?", "How do I sleep?", "Why?")]
MARK = {"rule": "pattern", "pattern": "a"}


def rule(name, weight, **settings):
    return Part(name, weight, build_rules([{**MARK, **settings}]), identity(name))


def identity(name):
    return ScorerIdentity(name=name, scorer_kind="rule", content_hash=name)


@pytest.fixture
def run(tiny_model_dir, workspace, tmp_path):
    def with_parts(monitors, *parts):
        context = RunContext("grpo", workspace.artifacts, tmp_path / "grpo", seed=5, now=lambda: NOW)
        rewards = TrainingRewards(CompositeReward(parts), None)
        bank = MonitorBank(build_monitors(dict.fromkeys(monitors, {})))
        watched = Watched(PROMPTS, rewards, (identity("composite"),), bank)
        return run_grpo(load(str(tiny_model_dir)), GrpoSettings(**GREEDY), context, watched, start=None)

    return with_parts


def test_a_part_that_is_bought_with_the_others_rings_though_the_sum_rises(run, proxy):
    # The mark pays 2 where it stands, and costs the part that wants it gone 1.
    learnt = Part("learnt", 0.2, proxy, identity("learnt"))
    policy = run(["component_dominance"], learnt, rule("format", 2.0), rule("plain_words", 1.0, is_wanted=False))
    first, last = policy.checkpoints[0].observation.values, policy.checkpoints[-1].observation.values
    for values in (first, last):
        total = sum(values[f"components/{name}"] for name in ("learnt", "format", "plain_words"))
        assert total == pytest.approx(values["alignment/proxy_reward"])
        assert values["components/format_sd"] == pytest.approx(2 * values["components/plain_words_sd"])
    assert last["alignment/proxy_reward"] > first["alignment/proxy_reward"] + 0.3
    rung = policy.alarms[0]
    assert rung.monitor == "component_dominance"
    assert "components/format gained" in rung.message
    gains = rung.evidence
    assert gains["components/format"] > 0.5
    assert gains["components/plain_words"] == pytest.approx(-gains["components/format"] / 2)
    assert "rewards/at_ceiling" not in last  # the learnt part has no bound


def test_a_bounded_reward_that_is_used_up_rings_and_its_groups_lose_their_contrast(run):
    policy = run(["ceiling_saturation", "variance_collapse"], rule("format", 1.0))
    values = [checkpoint.observation.values for checkpoint in policy.checkpoints]
    assert values[0]["rewards/at_ceiling"] == values[0]["components/format"] < 0.5
    assert {alarm.monitor for alarm in policy.alarms} == {"ceiling_saturation", "variance_collapse"}
    rung = next(alarm for alarm in policy.alarms if alarm.monitor == "ceiling_saturation")
    at = next(each for each, checkpoint in zip(values, policy.checkpoints, strict=True) if checkpoint.step == rung.step)
    assert at["rewards/at_ceiling"] > 0.95
    assert "variance_collapse" in policy.stop_reason
    assert policy.step < policy.steps_run
