"""Attributes: heads learn what they were judged on, weights are found or declared, faults are named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_cases import judgement, pairs_of, prompt_number, text_with

from assay.records.errors import ConfigError, StorageError, TrainingError
from assay.rewards.attributes import AttributeReward, AttributeSettings, declared_weights, fit_attributes, learn_weights
from assay.rewards.features import read_features

MARKS = {"usefulness": "Paris", "honesty": "cannot"}
NAMES = tuple(MARKS)


def attribute_judgements(now, *, prompts=16, pairs=5):
    """Useful is who says Paris, honest who says cannot; the overall choice counts usefulness alone."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(prompts):
        for k in range(pairs):
            useful, honest = rng.integers(0, 2, size=2)
            first = text_with(["Paris"] * 3 * useful + ["cannot"] * 3 * honest, rng)
            second = text_with(["Paris"] * 3 * (1 - useful) + ["cannot"] * 3 * (1 - honest), rng)
            choices = {"usefulness": "first" if useful else "second", "honesty": "first" if honest else "second"}
            overall = choices["usefulness"]
            made.append(
                judgement(now, prompt_number(i), first, second, overall, attributes=choices, occurrence=i * pairs + k)
            )
    return made


@pytest.fixture
def fitted(tiny_lm, now):
    return fit_attributes(tiny_lm, attribute_judgements(now), AttributeSettings(names=NAMES), seed=0)


def features_of(lm, reward, texts):
    return read_features(lm, [prompt_number(99)] * len(texts), texts, layers=reward.layers)


def test_each_head_rewards_its_own_word_on_an_unseen_prompt(fitted, tiny_lm):
    rng = np.random.default_rng(1)
    texts = [text_with([mark] * 3, rng) for mark in ("Paris", "cannot") for _ in range(10)]
    members = fitted.reward.score(features_of(tiny_lm, fitted.reward, texts)).members
    assert members[:10, 0].mean() > members[10:, 0].mean() + 1
    assert members[:10, 1].mean() < members[10:, 1].mean() - 1


def test_the_overall_choice_gives_its_weight_to_what_decided_it(fitted):
    useful, honest = fitted.quality
    assert (useful.attribute, useful.pairs) == ("usefulness", 80)
    assert useful.accuracy > 0.8
    assert honest.accuracy > 0.8
    assert useful.weight > 5 * honest.weight >= 0


def test_the_heads_are_standardised_on_the_reference_and_their_correlation_is_reported(tiny_lm, now):
    rng = np.random.default_rng(2)
    texts = [text_with(["Paris"] * int(rng.integers(0, 3)), rng) for _ in range(12)]
    reference = [(prompt_number(99), text) for text in texts]
    plain = AttributeSettings(names=NAMES)
    found = fit_attributes(tiny_lm, attribute_judgements(now), plain, seed=0, reference=reference)
    members = found.reward.score(features_of(tiny_lm, found.reward, texts)).members
    np.testing.assert_allclose(members.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(members.std(0), 1, atol=1e-6)
    np.testing.assert_allclose(found.correlation, np.corrcoef(members, rowvar=False), atol=1e-6)


def test_declared_weights_make_the_reward_and_can_be_changed_without_a_fit(tiny_lm, now):
    plain = AttributeSettings(names=NAMES, weights={"usefulness": 1.0, "honesty": -2.0})
    reward = fit_attributes(tiny_lm, attribute_judgements(now), plain, seed=0).reward
    features = features_of(tiny_lm, reward, ["Paris day.", "I cannot."])
    scores = reward.score(features)
    np.testing.assert_allclose(scores.reward, scores.members[:, 0] - 2 * scores.members[:, 1])
    only = reward.weighted({"honesty": 3.0}).score(features)
    np.testing.assert_allclose(only.reward, 3 * scores.members[:, 1])


def test_what_was_saved_scores_the_same(fitted, tiny_lm, tmp_path):
    fitted.reward.save(tmp_path)
    features = features_of(tiny_lm, fitted.reward, ["Paris day.", "I cannot."])
    again = AttributeReward.open(tmp_path)
    assert again.heads.names == NAMES
    np.testing.assert_array_equal(again.score(features).reward, fitted.reward.score(features).reward)
    (tmp_path / "heads.json").write_text("{")
    with pytest.raises(StorageError, match="expected reward heads in"):
        AttributeReward.open(tmp_path)


def test_an_attribute_that_hardly_anybody_judged_is_named(tiny_lm, now):
    few = attribute_judgements(now)
    few = [j.model_copy(update={"attributes": {"usefulness": j.attributes["usefulness"]}}) for j in few]
    with pytest.raises(TrainingError, match="at least 8 judgements of 'honesty' on 4 prompts; got 0 on 0"):
        fit_attributes(tiny_lm, few, AttributeSettings(names=NAMES), seed=0)


def test_weights_of_unknown_names_and_of_nothing_are_refused():
    with pytest.raises(ConfigError, match="wit"):
        declared_weights(NAMES, {"wit": 1.0})
    with pytest.raises(ConfigError, match="not all zero"):
        declared_weights(NAMES, {"honesty": 0.0})
    with pytest.raises(ConfigError, match="finite"):
        declared_weights(NAMES, {"honesty": float("nan")})


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 200))
def test_learnt_weights_are_the_planted_ones_and_never_negative(seed):
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(8000, 3))
    planted = np.array([2.0, 0.5, -1.0])
    first, second = np.arange(4000), np.arange(4000, 8000)
    probability = 1 / (1 + np.exp(-(parts[first] - parts[second]) @ planted))
    pairs = pairs_of(first, second)._replace(probability=probability)
    weights = learn_weights(parts, pairs)
    assert weights[2] == 0.0
    assert weights[0] > 2 * weights[1] > 0
    without = pairs._replace(probability=1 / (1 + np.exp(-(parts[first] - parts[second])[:, :2] @ planted[:2])))
    np.testing.assert_allclose(learn_weights(parts[:, :2], without), planted[:2], rtol=0.05)
