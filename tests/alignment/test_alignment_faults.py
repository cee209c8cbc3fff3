"""Faults: memory that runs out and rewards that throw end a run in a sentence, with the last checkpoint whole."""

import numpy as np
import pytest
import torch
from alignment_cases import TWO_ROUNDS, SampledTask

from assay.alignment.faults import memory_faults, scorer_faults
from assay.alignment.grpo import GrpoTask
from assay.alignment.online_dpo import OnlineDpoTask
from assay.alignment.scoring import StepCosts, StepScorer, TrainingRewards
from assay.alignment.settings import GrpoSettings, OnlineDpoSettings
from assay.alignment.trainer import train
from assay.records.errors import ConfigError, TrainingError


class Setting(SampledTask):
    def __init__(self, model_dir):
        super().__init__(model_dir, GrpoSettings(**TWO_ROUNDS))
        self.task = GrpoTask(self.lm, self.sampler, self.reward, self.settings, seed=5)


def test_memory_that_runs_out_ends_a_run_in_a_sentence_and_keeps_the_checkpoint(tiny_model_dir, tmp_path, monkeypatch):
    run = Setting(tiny_model_dir)
    real = run.task.parts

    def parts(step):
        if step == 3:
            torch.empty(1 << 60)  # what torch really says where there is no such memory
        return real(step)

    monkeypatch.setattr(run.task, "parts", parts)
    with pytest.raises(TrainingError, match=r"expected memory for step 3; got .*(can't allocate|not enough) memory"):
        train(run.lm, run.task, run.settings, directory=tmp_path, fingerprint="f")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB\nmore")])
def test_every_way_to_say_that_memory_is_out_is_known(error):
    with pytest.raises(TrainingError, match="expected memory for step 2") as found, memory_faults(2):
        raise error
    assert "more" not in str(found.value).replace("fewer", "")


def test_other_errors_of_torch_pass():
    with pytest.raises(RuntimeError, match="shapes"), memory_faults(0):
        raise RuntimeError("shapes do not fit")


class Broken:
    """A reward of somebody's own that throws."""

    def score_on(self, texts):
        raise KeyError("score")


def test_a_reward_that_throws_is_named_with_its_step(tiny_model_dir):
    run = Setting(tiny_model_dir)
    scorer = StepScorer(run.lm, run.sampler, TrainingRewards(Broken(), None))
    with pytest.raises(TrainingError, match="the reward to score the samples of step 2; got KeyError: 'score'"):
        scorer.at(2)
    costs = StepCosts(run.sampler, {"mine": lambda prompts, completions: 1 / 0})
    with pytest.raises(TrainingError, match="the cost mine to score .* got ZeroDivisionError: division by zero"):
        costs.at("mine", 0)


def test_an_error_of_ours_passes_as_it_is():
    with pytest.raises(ConfigError, match="known"), scorer_faults("the reward", 0):
        raise ConfigError("known")


@pytest.mark.parametrize("rewards", [np.zeros(5), np.full(6, np.nan)])
def test_online_dpo_refuses_rewards_that_are_none(tiny_model_dir, rewards):
    settings = OnlineDpoSettings(rounds=1, num_generations=3, max_completion_length=6)
    run = SampledTask(tiny_model_dir, settings)
    task = OnlineDpoTask(run.lm, run.sampler, lambda _: rewards, settings, seed=5)
    with pytest.raises(TrainingError, match="6 finite rewards"):
        task.loss(0)
