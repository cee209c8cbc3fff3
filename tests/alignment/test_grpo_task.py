"""GRPO and its kin: what a round learns from, exact resume, the KL coefficient, wrong rewards."""

import numpy as np
import pytest
import torch
from alignment_cases import TWO_PROMPTS, TWO_ROUNDS, SampledTask, assert_goes_on_after_a_kill

from assay.alignment import grpo
from assay.alignment.grpo import GrpoTask
from assay.alignment.settings import GrpoSettings
from assay.lm import LoraSettings
from assay.lm.adapters import policy_parameters
from assay.records.errors import TrainingError

ALL_KINDS = LoraSettings(r=4, top_layers=2)
METHODS = ("grpo", "dapo", "dr_grpo", "rloo", "reinforce")


def settings(**changes):
    return GrpoSettings(**TWO_ROUNDS | changes)


class Setting(SampledTask):
    def __init__(self, model_dir, chosen, reward=None):
        super().__init__(model_dir, chosen)
        self.task = GrpoTask(self.lm, self.sampler, reward or self.reward, chosen, seed=5)


@pytest.fixture
def made(tiny_model_dir):
    return lambda reward=None, **changes: Setting(tiny_model_dir, settings(**changes), reward)


@pytest.mark.parametrize(("loss_type", "killed_at"), [("grpo", 1), ("rloo", 2), ("reinforce", 3)])
def test_a_run_killed_at_any_step_and_resumed_equals_one_that_was_not(made, tmp_path, loss_type, killed_at):
    changes = {"loss_type": loss_type, "kl_target": 0.01, "kl_horizon": 10.0}
    assert_goes_on_after_a_kill(lambda: made(**changes), tmp_path, killed_at=killed_at, by="parts")


@pytest.mark.parametrize("loss_type", METHODS)
def test_the_first_step_has_the_policy_gradient_of_the_advantages(made, loss_type):
    whole = made(loss_type=loss_type, per_device_train_batch_size=6, kl_coef=0.0)
    step = whole.task.loss(0)
    step.value.backward()
    found = {name: p.grad.clone() for name, p in policy_parameters(whole.lm).items()}
    whole.lm.model.zero_grad()
    # Minus the weighted sum of advantage times log-probability, written out anew.
    from assay.lm.chat import EncodedPair, encode_prompt
    from assay.lm.logprobs import token_logprobs

    drawn = whole.task._round
    total, tokens = 0.0, sum(map(len, drawn.samples.token_ids))
    for i, ids in enumerate(drawn.samples.token_ids):
        pair = EncodedPair(encode_prompt(whole.lm, TWO_PROMPTS[drawn.samples.prompt_index[i]]), ids)
        weight = {
            "grpo": 1 / (6 * len(ids)),
            "dapo": 1 / tokens,
            "dr_grpo": 1 / (6 * 6),
            "rloo": 1 / 6,
            "reinforce": 1 / tokens,
        }[loss_type]
        total = total - weight * (torch.tensor(drawn.advantages[i]) * token_logprobs(whole.lm, [pair])).sum()
    total.backward()
    assert sum(p.abs().sum() for p in found.values()) > 0
    for name, p in policy_parameters(whole.lm).items():
        torch.testing.assert_close(found[name], p.grad, atol=1e-5, rtol=1e-3)
    assert step.metrics["clip_ratio/low_mean"] == step.metrics["clip_ratio/high_mean"] == 0


def test_a_round_of_one_step_takes_no_pass_for_the_policy_that_drew_and_learns_the_same(made):
    once = made(per_device_train_batch_size=6, num_iterations=1)
    twice = made(per_device_train_batch_size=6, num_iterations=2)
    steps = [run.task.loss(0) for run in (once, twice)]
    assert once.task._round.old is None
    assert len(twice.task._round.old) == 6
    assert steps[0].metrics == steps[1].metrics
    for step in steps:
        step.value.backward()
    for name, p in policy_parameters(once.lm).items():
        torch.testing.assert_close(p.grad, policy_parameters(twice.lm)[name].grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("loss_type", METHODS)
@pytest.mark.parametrize(("tokens", "count"), [(1, 6), (70, 2)])
def test_parts_of_a_step_add_up_to_it(made, monkeypatch, loss_type, tokens, count):
    found = []
    for limit in (100_000, tokens):
        monkeypatch.setattr(grpo, "GROUP_TOKENS", limit)
        run = made(per_device_train_batch_size=6, num_iterations=2, loss_type=loss_type, lora=ALL_KINDS)
        run.task._round = run.task._draw(0)
        # Ratios away from one, so that something is clipped.
        old = [[value + 0.5 * (-1) ** i for value in each] for i, each in enumerate(run.task._round.old)]
        run.task._round = run.task._round._replace(old=old)
        monkeypatch.setattr(run.task._rounds, "begin", lambda step: -1)
        assert len(list(run.task.parts(0))) == (1 if limit > tokens else count)
        loss = run.task.loss(0)
        loss.value.backward()
        found.append((loss, {name: p.grad for name, p in policy_parameters(run.lm).items()}))
    (one, whole_gradient), (parts, summed) = found
    assert parts.metrics == pytest.approx(one.metrics, abs=1e-6)
    assert one.metrics["clip_ratio/low_mean"] + one.metrics["clip_ratio/high_mean"] > 0
    torch.testing.assert_close(parts.value, one.value, atol=1e-6, rtol=1e-4)
    for name, gradient in whole_gradient.items():
        torch.testing.assert_close(summed[name], gradient, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("loss_type", ["rloo", "reinforce"])
def test_a_kl_in_the_reward_is_of_the_policy_that_drew(made, loss_type):
    run = made(per_device_train_batch_size=6, loss_type=loss_type)
    run.task.loss(0)
    drawn = run.task._round
    assert [len(each) for each in drawn.old] == [len(ids) for ids in drawn.samples.token_ids]


def test_advantages_compare_within_a_prompt(made):
    rewards = np.array([0.0, 1.0, 2.0, 10.0, 10.0, 10.0])
    one = made(reward=lambda _: rewards, scale_rewards="none")
    metrics = one.task.loss(0).metrics
    first = [each[0] for each in one.task._round.advantages]
    assert first == pytest.approx([-1, 0, 1, 0, 0, 0])
    assert metrics["frac_reward_zero_std"] == 0.5
    assert metrics["reward"] == pytest.approx(5.5)
    left_out = made(reward=lambda _: rewards, loss_type="rloo", kl_coef=0.0)
    left_out.task.loss(0)
    assert [each[0] for each in left_out.task._round.advantages] == pytest.approx([-1.5, 0, 1.5, 0, 0, 0])


def test_steps_raise_the_reward(made, tmp_path):
    run = made(
        lora=ALL_KINDS,
        rounds=8,
        num_generations=12,
        per_device_train_batch_size=24,
        learning_rate=2e-2,
        warmup_ratio=0.0,
        lr_scheduler_type="constant",
        kl_coef=0.0,
        save_steps=99,
    )
    counts = np.bincount(np.concatenate(run.sampler.at(0).token_ids))
    wanted = np.argsort(-counts, kind="stable")[:5]
    run.task._rewards_at = lambda step: np.array(
        [np.isin(ids, wanted).mean() for ids in run.sampler.at(step).token_ids]
    )
    log = run.train(tmp_path).log
    first, last = (np.mean([entry["reward"] for entry in part]) for part in (log[:3], log[-3:]))
    assert last > 2 * first
    assert log[-1]["kl"] > log[0]["kl"] == pytest.approx(0.0, abs=1e-4)


def test_a_stronger_penalty_keeps_the_policy_nearer(made, tmp_path):
    def last_kl(name, **changes):
        run = made(rounds=5, num_generations=6, per_device_train_batch_size=12, save_steps=99, **changes)
        return run.train(tmp_path / name).log[-1]["kl"]

    assert last_kl("strong", kl_coef=5.0, kl_estimator="k2") < 0.5 * last_kl("none", kl_coef=0.0)


def test_the_coefficient_adapts_towards_the_target_within_its_limit_and_keeps_what_monitors_raised(made, tmp_path):
    run = made(lora=ALL_KINDS, rounds=5, kl_target=1e-6, kl_horizon=1.0, kl_raise_limit=4.0, save_steps=99)
    log = run.train(tmp_path).log
    assert log[0]["kl_coef"] == log[1]["kl_coef"] == 0.04
    # KL above the target: times 1 + 0.2 x 6 completions a round, to at most four times.
    found = [entry["kl_coef"] for entry in log[::2]]
    assert found == pytest.approx([0.04, 0.04 * 2.2, 0.16, 0.16, 0.16])
    run.task.kl_coef.raise_once()
    assert run.task._coefficient == pytest.approx(0.32)


@pytest.mark.parametrize(
    ("rewards", "said"),
    [
        (np.array([0.0, 1.0, np.nan, 0.0, np.inf, 0.0]), "2 that are not finite"),
        (np.zeros(5), r"an array of shape \(5,\)"),
        (np.zeros((6, 2)), r"an array of shape \(6, 2\)"),
    ],
)
def test_a_reward_that_is_wrong_ends_the_run_with_a_clear_word_and_keeps_the_checkpoint(made, tmp_path, rewards, said):
    run = made()
    good = run.reward
    run.task._rewards_at = lambda step: rewards if step else good(step)
    with pytest.raises(TrainingError, match=f"6 finite rewards; got {said}"):
        run.train(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]


@pytest.mark.parametrize("changes", [{"kl_estimator": "k1"}, {"kl_coef": 0.0, "kl_target": 1.0}])
def test_settings_that_would_do_nothing_are_refused(changes):
    with pytest.raises(ValueError, match=r"no gradient in the loss|give it a start"):
        settings(**changes)
