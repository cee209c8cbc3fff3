"""Best-of-n SFT: what is picked, what it learns from, exact resume, the run with its trail."""

import numpy as np
import pytest
from alignment_cases import NOW, TWO_PROMPTS, TWO_ROUNDS, SampledTask, assert_goes_on_after_a_kill

from assay.alignment import BestOfNSftSettings, RunContext, TrainingRewards, Watched, run_best_of_n_sft
from assay.alignment.best_of_n_sft import BestOfNSftTask
from assay.lm import LoraSettings, encode_prompt, load
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import token_logprobs
from assay.records.errors import TrainingError


def settings(**changes):
    return BestOfNSftSettings(**TWO_ROUNDS | {"per_device_train_batch_size": 1, "epochs_per_round": 1} | changes)


class Setting(SampledTask):
    """The reward is the mean token id unless another one is given."""

    def __init__(self, model_dir, chosen, reward=None):
        super().__init__(model_dir, chosen)
        self.task = BestOfNSftTask(self.lm, self.sampler, reward or self.reward, chosen, seed=5)

    def reward(self, step):
        return np.array([np.mean(ids) for ids in self.sampler.at(step).token_ids])


@pytest.fixture
def made(tiny_model_dir):
    return lambda reward=None, **changes: Setting(tiny_model_dir, settings(**changes), reward)


def test_a_step_is_the_likelihood_of_the_best_of_each_prompt(made):
    one = made(reward=lambda _: np.array([0.0, 2.0, 1.0, 5.0, 3.0, 4.0]), per_device_train_batch_size=2)
    found = one.task.loss(0)
    drawn = one.sampler.at(0)
    assert one.task._round.picked == [1, 3]
    pairs = [EncodedPair(encode_prompt(one.lm, TWO_PROMPTS[k]), drawn.token_ids[i]) for k, i in enumerate((1, 3))]
    logprobs = token_logprobs(one.lm, pairs)
    assert found.value.item() == pytest.approx(-logprobs.mean().item(), rel=1e-5)
    assert (found.metrics["reward"], found.metrics["reward_picked"]) == (2.5, 3.5)
    assert found.metrics["num_tokens"] == len(logprobs)


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_a_run_killed_at_any_step_and_resumed_equals_one_that_was_not(made, tmp_path, killed_at):
    assert_goes_on_after_a_kill(made, tmp_path, killed_at=killed_at, by="parts")


def test_rounds_raise_the_reward_of_a_draw(made, tmp_path):
    run = made(
        rounds=5,
        num_generations=16,
        epochs_per_round=6,
        per_device_train_batch_size=2,
        learning_rate=2e-2,
        warmup_ratio=0.0,
        lora=LoraSettings(r=4, top_layers=2),
        save_steps=99,
    )
    counts = np.bincount(np.concatenate(run.sampler.at(0).token_ids))
    wanted = np.argsort(-counts, kind="stable")[:5]
    run.task._rewards_at = lambda step: np.array([np.isin(i, wanted).mean() for i in run.sampler.at(step).token_ids])
    log = run.train(tmp_path).log
    assert log[-1]["reward"] > 1.5 * log[0]["reward"]
    assert all(entry["reward_picked"] >= entry["reward"] for entry in log)


def test_a_reward_that_is_not_finite_ends_the_run(made, tmp_path):
    run = made(reward=lambda _: np.array([0.0, np.nan, 0.0, 0.0, 0.0, 0.0]))
    with pytest.raises(TrainingError, match="1 that are not finite"):
        run.train(tmp_path)


def test_the_run_names_its_method_and_is_measured(tiny_model_dir, proxy, workspace, tmp_path):
    context = RunContext("best-of-n-sft", workspace.artifacts, tmp_path / "run", seed=5, now=lambda: NOW)
    watched = Watched(TWO_PROMPTS, TrainingRewards(proxy, None), (), None)
    chosen = settings(measure_steps=2)
    policy = run_best_of_n_sft(load(str(tiny_model_dir)), chosen, context, watched, start=None)
    assert (policy.method, policy.steps_run, policy.step) == ("best_of_n_sft", 4, 4)
    assert [checkpoint.step for checkpoint in policy.checkpoints] == [0, 2, 4]
    assert policy.settings["num_generations"] == 3
