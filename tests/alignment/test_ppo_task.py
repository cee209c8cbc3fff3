"""PPO: what a round learns from, the critic, exact resume, a rising reward, the run with its trail."""

import numpy as np
import pytest
import torch
from alignment_cases import NOW, TWO_PROMPTS, TWO_ROUNDS, SampledTask, assert_goes_on_after_a_kill

from assay.alignment import RunContext, TrainingRewards, Watched, ppo
from assay.alignment.critic import Critic
from assay.alignment.online import run_ppo
from assay.alignment.ppo import PpoTask
from assay.alignment.settings import PpoSettings
from assay.alignment.trainer import whole
from assay.lm import LoraSettings, load
from assay.lm.adapters import policy_parameters


def settings(**changes):
    return PpoSettings(**TWO_ROUNDS | {"num_iterations": 1} | changes)


class Setting(SampledTask):
    def __init__(self, model_dir, chosen):
        super().__init__(model_dir, chosen)
        self.task = PpoTask(self.lm, self.sampler, self.reward, chosen, seed=5)


@pytest.fixture
def made(tiny_model_dir):
    return lambda **changes: Setting(tiny_model_dir, settings(**changes))


def test_before_the_critic_has_learnt_a_token_s_return_is_the_reward_to_come(made):
    one = made(kl_coef=0.0, lam=1.0, per_device_train_batch_size=6)
    step = one.task.loss(0)
    drawn = one.task._round
    rewards = one.reward(0)
    for returns, reward in zip(drawn.returns, rewards, strict=True):
        assert returns == pytest.approx([reward] * len(returns))
    flat = np.concatenate(drawn.advantages)
    assert flat.mean() == pytest.approx(0, abs=1e-9)
    assert flat.std() == pytest.approx(1, rel=1e-2)
    # The ratio is 1 at the first step, so the policy's loss is minus the mean advantage, and the critic's half the
    # mean square of the returns.
    assert step.value.item() == pytest.approx(0.0, abs=1e-4)
    squares = np.concatenate([np.square(each) for each in drawn.returns])
    assert step.metrics["loss/value"] == pytest.approx(squares.mean() / 2, rel=1e-4)


def test_the_critic_learns_values_and_leaves_the_policy_s_gradient_alone(made):
    one = made(per_device_train_batch_size=6, value_learning_rate=0.05, num_iterations=40)
    first = one.task.loss(0)
    first.value.backward()
    with_critic = [p.grad.clone() for p in policy_parameters(one.lm).values()]
    found = [one.task.loss(step).metrics["loss/value"] for step in range(1, 40)]
    assert found[-1] < 0.5 * found[0]
    other = made(per_device_train_batch_size=6, value_learning_rate=1e-9)
    other.task.loss(0).value.backward()
    for one_gradient, two in zip(with_critic, policy_parameters(other.lm).values(), strict=True):
        torch.testing.assert_close(one_gradient, two.grad)


def test_a_critic_goes_on_from_its_state_bit_for_bit():
    generator = torch.Generator().manual_seed(0)
    states, target = torch.randn(8, 4, generator=generator), torch.randn(8, generator=generator)

    def step(critic):
        loss = (critic.values(states) - target) ** 2
        critic.add(loss[:3].sum() / len(loss))
        critic.add(loss[3:].sum() / len(loss))
        critic.learn()

    one = Critic(4, learning_rate=0.1)
    for _ in range(3):
        step(one)
    two = Critic(4, learning_rate=0.1)
    two.restore(one.state())
    step(one)
    step(two)
    assert torch.equal(one.values(states), two.values(states))
    at_once = Critic(4, learning_rate=0.1)
    for _ in range(4):
        at_once.add(((at_once.values(states) - target) ** 2).mean())
        at_once.learn()
    torch.testing.assert_close(at_once.values(states), two.values(states))


@pytest.mark.parametrize(("tokens", "count"), [(1, 6), (70, 2)])
def test_parts_of_a_step_add_up_to_it_for_policy_and_critic(made, monkeypatch, tokens, count):
    found = []
    for limit in (100_000, tokens):
        monkeypatch.setattr(ppo, "GROUP_TOKENS", limit)
        run = made(per_device_train_batch_size=6)
        parts = list(run.task.parts(0))
        assert len(parts) == (1 if limit > tokens else count)
        loss = whole(parts)
        loss.value.backward()
        found.append(
            (loss, [p.grad for p in policy_parameters(run.lm).values()], run.task.state()["critic"]["weights"])
        )
    (one, gradient, weights), (several, summed, other) = found
    assert several.metrics == pytest.approx(one.metrics, abs=1e-5)
    torch.testing.assert_close(several.value, one.value, atol=1e-5, rtol=1e-4)
    for first, second in zip(gradient, summed, strict=True):
        torch.testing.assert_close(second, first, atol=1e-6, rtol=1e-3)
    assert other == pytest.approx(weights, abs=1e-6)


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_a_run_killed_at_any_step_and_resumed_equals_one_that_was_not(made, tmp_path, killed_at):
    assert_goes_on_after_a_kill(made, tmp_path, killed_at=killed_at, by="parts")


def test_steps_raise_the_reward(made, tmp_path):
    run = made(
        lora=LoraSettings(r=4, top_layers=2),
        rounds=14,
        num_generations=16,
        num_iterations=2,
        per_device_train_batch_size=32,
        learning_rate=2e-2,
        warmup_ratio=0.0,
        lr_scheduler_type="constant",
        kl_coef=0.0,
        save_steps=99,
    )
    counts = np.bincount(np.concatenate(run.sampler.at(0).token_ids))
    wanted = np.argsort(-counts, kind="stable")[:5]
    run.task._rewards_at = lambda step: np.array([np.isin(i, wanted).mean() for i in run.sampler.at(step).token_ids])
    log = run.train(tmp_path).log
    first, last = (np.mean([entry["reward"] for entry in part]) for part in (log[:2], log[-2:]))
    assert last > 2 * first


def test_the_run_names_its_method_and_is_measured_each_round(tiny_model_dir, proxy, workspace, tmp_path):
    context = RunContext("ppo", workspace.artifacts, tmp_path / "run", seed=5, now=lambda: NOW)
    watched = Watched(TWO_PROMPTS, TrainingRewards(proxy, None), (), None)
    policy = run_ppo(load(str(tiny_model_dir)), settings(), context, watched, start=None)
    assert (policy.method, policy.steps_run) == ("ppo", 4)
    assert [checkpoint.step for checkpoint in policy.checkpoints] == [0, 2, 4]
