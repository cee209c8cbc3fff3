"""Export: transformers opens what was written, with the same scores; what it cannot hold is refused with reasons."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from reward_cases import NOW, marked_preferences, prompt_number
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from assay.lm import LoraSettings, encode_pair, load
from assay.records.errors import ModelError, StorageError
from assay.rewards import RewardSettings, train_reward
from assay.rewards.tuning.export import export_last_state, export_tuned, refuse_ensemble
from assay.rewards.tuning.finetune import FinetuneSettings
from assay.rewards.tuning.last_state import LastStateSettings, final_norm, fit_last_state
from assay.rewards.tuning.training import train_tuned
from assay.rewards.tuning.tuned import TunedReward, warm_average

TEXTS = ["Paris and Paris again.", "I cannot and cannot.", "Sky.", ""]
PROMPTS = [prompt_number(k) for k in range(4)]
SMALL = FinetuneSettings(
    per_device_train_batch_size=8,
    lora=LoraSettings(r=4, alpha=8, targets=("q_proj", "up_proj")),
    learning_rate=3e-3,
    head_learning_rate=1e-2,
)


@pytest.fixture(scope="module")
def open_model(tiny_model_dir):
    return partial(load, str(tiny_model_dir))


def classified(directory, lm):
    """Scores that transformers gives to whole texts, tokenised and padded by what was exported."""
    model = AutoModelForSequenceClassification.from_pretrained(directory)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    pairs = [encode_pair(lm, prompt, text) for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
    texts = [lm.tokenizer.decode([*pair.prompt, *pair.completion]) for pair in pairs]
    batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    assert model.config.num_labels == 1
    with torch.no_grad():
        return model(**batch).logits[:, 0].numpy()


@pytest.fixture(scope="module")
def two_members(open_model):
    settings = SMALL.model_copy(update={"max_steps": 2})
    return train_tuned(open_model, marked_preferences(NOW, prompts=8), settings, seeds=[1, 2]).reward


def one_member(open_model, two_members, kind):
    """A reward of one member: tuned in full, the second of two adapters, or their average."""
    if kind == "full":
        settings = SMALL.model_copy(update={"lora": None, "max_steps": 2})
        return train_tuned(open_model, marked_preferences(NOW, prompts=8), settings, seeds=[1]).reward
    members = two_members.members
    member = members[1] if kind == "lora" else warm_average(members)
    return TunedReward(open_model(), (member,))


@pytest.mark.parametrize("kind", ["full", "lora", "average"])
def test_a_tuned_reward_scores_the_same_in_transformers(open_model, two_members, kind, tmp_path):
    reward = one_member(open_model, two_members, kind)
    ours = reward.score_texts(PROMPTS, TEXTS).reward
    export_tuned(reward, tmp_path)
    told = json.loads((tmp_path / "reward.json").read_text())
    found = (classified(tmp_path, reward.lm) - told["shift"]) / told["scale"]
    np.testing.assert_allclose(found, ours, atol=1e-5)
    assert np.ptp(ours) > 0.1
    np.testing.assert_array_equal(reward.score_texts(PROMPTS, TEXTS).reward, ours)


@pytest.mark.parametrize(("depth", "layers"), [(1.0, 4), (0.5, 2)])
def test_a_frozen_head_scores_the_same_in_a_model_cut_at_its_layer(open_model, now, depth, layers, tmp_path):
    preferences = marked_preferences(now)
    reward = fit_last_state(open_model(), preferences, LastStateSettings(depth=depth))
    scores = reward.score_texts(PROMPTS, TEXTS)
    prompts = [p.prompt for p in preferences]
    chosen = reward.score_texts(prompts, [p.chosen for p in preferences]).reward
    rejected = reward.score_texts(prompts, [p.rejected for p in preferences]).reward
    assert (chosen > rejected).mean() > 0.9
    export_last_state(reward, tmp_path)
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path).config.num_hidden_layers == layers
    np.testing.assert_allclose(classified(tmp_path, reward.lm), scores.reward, atol=1e-5)


def test_the_end_of_turn_is_scored_and_never_taken_for_padding(open_model, now, tmp_path):
    lm = open_model()
    assert lm.tokenizer.pad_token_id in lm.eos_ids
    export_last_state(fit_last_state(lm, marked_preferences(now), LastStateSettings()), tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).pad_token_id not in lm.eos_ids
    assert lm.tokenizer.pad_token_id in lm.eos_ids


def test_several_members_are_refused(two_members, tmp_path):
    with pytest.raises(ModelError, match="one member, as a classifier has one head; got 2"):
        export_tuned(two_members, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_ensemble_on_frozen_features_hears_every_reason(tiny_lm, now):
    ensemble = train_reward(tiny_lm, marked_preferences(now), RewardSettings(directions=8), seed=0).ensemble
    with pytest.raises(ModelError) as caught:
        refuse_ensemble(ensemble)
    for reason in ("5 members", "surface", "mean over the completion", "final norm", "fit_last_state"):
        assert reason in str(caught.value)


def test_a_directory_that_cannot_be_written_is_told(open_model, now, tmp_path):
    reward = fit_last_state(open_model(), marked_preferences(now), LastStateSettings())
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="expected to write"):
        export_last_state(reward, tmp_path / "file" / "below")


def test_models_without_a_known_norm_or_classifier_are_refused(open_model, now, monkeypatch, tmp_path):
    lm = open_model()
    reward = fit_last_state(lm, marked_preferences(now), LastStateSettings())
    monkeypatch.setattr(lm.causal.config, "model_type", "no_such")
    monkeypatch.setattr(
        "assay.rewards.tuning.export.AutoModelForSequenceClassification.from_config", lambda _c: torch.nn.Linear(2, 2)
    )
    with pytest.raises(ModelError, match="a sequence classifier with a linear head for 'no_such'"):
        export_last_state(reward, tmp_path)
    del lm.body.norm
    with pytest.raises(ModelError, match="a final norm"):
        final_norm(lm, np.zeros((1, 32), dtype=np.float32))
