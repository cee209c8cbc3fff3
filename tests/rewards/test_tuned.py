"""Tuned reward: members over one model, saved and opened, averaged exactly, trained over seeds, quality told."""

from functools import partial

import numpy as np
import pytest
import torch
from reward_cases import NOW, marked_preferences, prompt_number

from assay.lm import LoraSettings, load
from assay.records.errors import ModelError, StorageError, TrainingError
from assay.rewards.tuning.finetune import FinetuneSettings, finetune
from assay.rewards.tuning.training import train_tuned
from assay.rewards.tuning.tuned import TunedReward, TunedWeights, warm_average

SMALL = FinetuneSettings(
    per_device_train_batch_size=8,
    lora=LoraSettings(r=4, alpha=8, targets=("q_proj", "up_proj")),
    learning_rate=3e-3,
    head_learning_rate=1e-2,
)
TEXTS = ["Paris and Paris again.", "I cannot and cannot.", "Sky."]
PROMPTS = [prompt_number(k) for k in range(3)]


@pytest.fixture(scope="module")
def open_model(tiny_model_dir):
    return partial(load, str(tiny_model_dir))


@pytest.fixture(scope="module", params=["lora", "full"])
def members(request, open_model):
    """Two members of one start, by adapter or in full."""
    settings = SMALL if request.param == "lora" else SMALL.model_copy(update={"lora": None})
    preferences = marked_preferences(NOW, prompts=4)
    return [finetune(open_model(), preferences, settings, seed=seed).weights for seed in (1, 2)]


def merged(open_model, weights):
    """The body's weights under one member."""
    reward = TunedReward(open_model(), (weights,))
    reward.score_texts(PROMPTS[:1], TEXTS[:1])
    model = reward.lm.model
    causal = model.merge_and_unload() if weights.lora is not None else model
    return {name: p.detach() for name, p in causal.model.named_parameters()}


def test_the_average_has_exactly_the_mean_of_the_weights(open_model, members):
    one, two = members
    average = warm_average([one, two])
    first, second, mean = (merged(open_model, weights) for weights in (one, two, average))
    name = "layers.1.mlp.up_proj.weight"
    assert (first[name] - second[name]).abs().max() > 1e-4
    for name in mean:
        torch.testing.assert_close(mean[name], (first[name] + second[name]) / 2, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(average.head, (one.head + two.head) / 2)


def test_weights_of_different_starts_are_not_averaged(open_model):
    plain = TunedWeights("base", None, {"w": torch.zeros(1)}, torch.zeros(2))
    with pytest.raises(TrainingError, match="members of one start"):
        warm_average([plain, plain._replace(base="other")])
    with pytest.raises(TrainingError, match="members of one start"):
        warm_average([plain, plain._replace(lora=LoraSettings())])


def test_members_take_turns_in_one_model_and_each_scores_as_alone(open_model, members):
    together = TunedReward(open_model(), tuple(members))
    alone = [TunedReward(open_model(), (member,)).score_texts(PROMPTS, TEXTS).reward for member in members]
    for _ in range(2):
        scores = together.score_texts(PROMPTS, TEXTS)
        np.testing.assert_array_equal(scores.members, np.stack(alone, axis=1))
    np.testing.assert_allclose(scores.reward, scores.members.mean(1))
    assert (scores.disagreement > 0).all()


def test_what_was_saved_scores_the_same_in_a_model_opened_anew(open_model, members, tmp_path):
    reward = TunedReward(open_model(), tuple(members), "wco")
    reward.standardise(list(zip(PROMPTS, TEXTS, strict=True)))
    reward.temperature = 1.5
    scores = reward.score_texts(PROMPTS, TEXTS)
    np.testing.assert_allclose(scores.members.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(scores.members.std(0), 1, atol=1e-9)
    reward.save(tmp_path)
    again = TunedReward.open(open_model(), tmp_path)
    assert (again.aggregation, again.temperature) == ("wco", 1.5)
    np.testing.assert_allclose(again.score_texts(PROMPTS, TEXTS).reward, scores.reward, atol=1e-6)


def test_a_model_changed_in_full_has_another_identity_and_refuses_members_of_its_base(open_model, members):
    lm = open_model()
    TunedReward(lm, (members[0],)).score_texts(PROMPTS, TEXTS)
    assert (lm.id == members[0].base) == (members[0].lora is not None)
    if members[0].lora is None:
        with pytest.raises(ModelError, match="expected members trained from model"):
            TunedReward(lm, (members[1],))


def test_no_members_and_no_directory_are_refused(open_model, tmp_path):
    with pytest.raises(ModelError, match="no members"):
        TunedReward(open_model(), ())
    with pytest.raises(StorageError, match="expected a tuned reward in"):
        TunedReward.open(open_model(), tmp_path)


def test_seeds_make_an_ensemble_with_its_quality_on_prompts_it_has_not_seen(open_model, now):
    reference = list(zip(PROMPTS, TEXTS, strict=True))
    trained = train_tuned(open_model, marked_preferences(now), SMALL, seeds=[1, 2], reference=reference)
    assert trained.fitted_pairs == 48
    assert trained.quality.pairs == 16
    assert trained.quality.accuracy > 0.9
    assert len(trained.member_accuracy) == 2
    assert len(trained.logs) == 2
    assert trained.quality.ece <= trained.quality.ece_before + 0.05
    assert sum(part.count for part in trained.quality.by_spread) == 16
    scores = trained.reward.score_texts(PROMPTS, TEXTS)
    assert scores.reward[0] > scores.reward[1]
    np.testing.assert_allclose(scores.members.mean(0), 0, atol=1e-9)
    assert trained.reward.temperature == trained.quality.temperature


def test_averaged_seeds_make_one_member_that_orders_as_well(open_model, now):
    averaged = SMALL.model_copy(update={"is_averaged": True})
    trained = train_tuned(open_model, marked_preferences(now), averaged, seeds=[1, 2])
    assert len(trained.reward.members) == 1
    assert trained.reward.members[0].lora.r == 8
    assert trained.quality.accuracy > 0.9


def test_too_few_preferences_and_no_seeds_are_refused(open_model, now):
    with pytest.raises(TrainingError, match="at least 8 preferences on 4 prompts; got 4 on 1"):
        train_tuned(open_model, marked_preferences(now, prompts=1), SMALL, seeds=[1])
    with pytest.raises(TrainingError, match="at least one seed"):
        train_tuned(open_model, marked_preferences(now), SMALL, seeds=[])
