"""Fine-tuning: the loss is Bradley-Terry's, the cut does not matter, seeds do, and what cannot go on says why."""

import numpy as np
import pytest
import torch
from reward_cases import marked_preferences, pairs_of

from assay.lm import LoraSettings, add_lora, load
from assay.records.errors import InputError, ModelError, TrainingError
from assay.rewards.bradley_terry import loss_and_gradient
from assay.rewards.tuning.finetune import (
    FinetuneSettings,
    PairTerms,
    encode_choices,
    finetune,
    pair_losses,
)
from assay.rewards.tuning.shared_prompt import choice_states
from assay.rewards.tuning.tuned import open_for_training

SMALL = FinetuneSettings(
    per_device_train_batch_size=8, lora=LoraSettings(r=4, alpha=8, targets=("q_proj", "up_proj")), starts_frozen=False
)


def test_the_loss_is_that_of_the_frozen_head():
    rng = np.random.default_rng(0)
    x, theta = rng.normal(size=(12, 3)), rng.normal(size=3)
    pairs = pairs_of(range(6), range(6, 12))._replace(
        probability=rng.uniform(0.5, 1, 6), weight=rng.uniform(0.1, 2, 6), margin=rng.uniform(0, 2, 6)
    )
    expected, _ = loss_and_gradient(theta, x, pairs, ridge=0.0, sum_to_zero=0.0)
    rewards = torch.tensor(x @ theta).unflatten(0, (2, 6))
    terms = PairTerms(*(torch.tensor(part) for part in (pairs.probability, pairs.weight, pairs.margin)))
    assert float(pair_losses(rewards, terms).sum() / terms.weight.sum()) == pytest.approx(expected)


def test_a_step_does_not_depend_on_how_it_is_cut(tiny_model_dir, now):
    preferences = marked_preferences(now, prompts=2, pairs=4)
    preferences = [p.model_copy(update={"weight": 0.5 + i}) for i, p in enumerate(preferences)]
    heads, moved = [], []
    for tokens in (10_000, 150, 1):
        plain = SMALL.model_copy(update={"micro_batch_tokens": tokens, "max_grad_norm": 1e9})
        found = finetune(load(str(tiny_model_dir)), preferences, plain, seed=1, head=np.full(32, 0.1))
        heads.append(found.log[0]["loss"])
        moved.append(found.weights.head)
    assert heads[1:] == pytest.approx([heads[0]] * 2, rel=1e-5)
    torch.testing.assert_close(moved[1], moved[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(moved[2], moved[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("lora", [LoraSettings(r=4, alpha=8), None])
def test_a_reward_is_learnt_by_lora_and_in_full(tiny_model_dir, now, lora):
    plain = SMALL.model_copy(update={"lora": lora, "learning_rate": 3e-3, "head_learning_rate": 1e-2})
    found = finetune(load(str(tiny_model_dir)), marked_preferences(now), plain, seed=0)
    assert found.log[0]["loss"] == pytest.approx(np.log(2))
    assert found.log[-1]["loss"] < 0.45
    assert found.log[-1]["accuracy"] == 1.0
    names = set(found.weights.tensors)
    assert all(".lora_" in name for name in names) if lora else "layers.0.mlp.up_proj.weight" in names


def test_one_seed_gives_one_reward_and_another_seed_another(tiny_model_dir, now):
    preferences = marked_preferences(now, prompts=4)
    one, again, other = (finetune(load(str(tiny_model_dir)), preferences, SMALL, seed=s).weights for s in (1, 1, 2))
    assert all(torch.equal(one.tensors[name], again.tensors[name]) for name in one.tensors)
    assert torch.equal(one.head, again.head)
    assert not torch.equal(one.head, other.head)


def test_a_fresh_start_takes_up_the_given_head_and_leaves_the_base_alone(tiny_lm, now):
    before = {name: p.clone() for name, p in tiny_lm.body.named_parameters()}
    rate = SMALL.model_copy(update={"learning_rate": 1e-12, "head_learning_rate": 1e-12})
    found = finetune(tiny_lm, marked_preferences(now, prompts=4), rate, seed=0, head=np.arange(32) / 32)
    torch.testing.assert_close(found.weights.head, torch.arange(32) / 32)
    after = {n.replace(".base_layer", ""): p for n, p in tiny_lm.body.named_parameters() if ".lora_" not in n}
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_loss_holds_the_mean_squared_sum_of_each_pair_s_rewards(tiny_model_dir, now):
    preferences = marked_preferences(now, prompts=2)
    start = np.random.default_rng(0).normal(size=32)
    losses = []
    for strength in (0.0, 0.5):
        plain = SMALL.model_copy(update={"sum_to_zero": strength, "micro_batch_tokens": 150, "max_steps": 1})
        losses.append(finetune(load(str(tiny_model_dir)), preferences, plain, seed=0, head=start).log[0]["loss"])
    lm = load(str(tiny_model_dir))
    with torch.no_grad():
        rewards = choice_states(lm, encode_choices(lm, preferences)) @ torch.tensor(start, dtype=torch.float32)
    assert losses[1] - losses[0] == pytest.approx(0.5 * float(rewards.sum(0).square().mean()), rel=1e-4)


def test_labels_count_as_certain_when_they_are_not_to_be_soft(tiny_model_dir, now):
    unsure = [p.model_copy(update={"probability": 0.5}) for p in marked_preferences(now, prompts=4)]
    start = np.random.default_rng(0).normal(size=32)
    by_kind = [
        finetune(
            load(str(tiny_model_dir)), unsure, SMALL.model_copy(update={"soft_labels": soft}), seed=0, head=start
        ).log[0]["grad_norm"]
        for soft in (True, False)
    ]
    assert by_kind[0] != pytest.approx(by_kind[1], rel=0.05)


def test_a_gradient_that_is_no_number_stops_in_one_sentence(tiny_lm, now):
    head = np.full(32, np.inf)
    with pytest.raises(TrainingError, match=r"finite loss and gradient; got loss (nan|inf), .* at step 1; look at"):
        finetune(tiny_lm, marked_preferences(now, prompts=2), SMALL, seed=0, head=head)


def test_no_preferences_adapters_and_texts_beyond_the_context_are_refused(tiny_lm, now):
    with pytest.raises(TrainingError, match="at least one preference"):
        finetune(tiny_lm, [], SMALL, seed=0)
    preferences = marked_preferences(now, prompts=2, pairs=1)
    long = preferences[1].model_copy(update={"rejected": "light " * 600})
    with pytest.raises(InputError, match="at most 512 tokens") as caught:
        finetune(tiny_lm, [preferences[0], long], SMALL, seed=0)
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith("preference 1")
    add_lora(tiny_lm, LoraSettings(r=2), seed=0)
    with pytest.raises(ModelError, match="without adapters"):
        open_for_training(tiny_lm, None, seed=0)


def test_an_unknown_aggregation_is_refused_by_the_settings():
    with pytest.raises(ValueError, match="expected one of .* or `is_averaged` for WARM; got 'warm'"):
        FinetuneSettings(aggregation="warm")
