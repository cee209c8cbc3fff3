"""Reward training on the tiny model: learns, states its quality, survives a save, caches, refuses too little."""

import numpy as np
import pytest

from assay.records.conversation import user_prompt
from assay.records.errors import StorageError, TrainingError
from assay.records.preference import Preference
from assay.rewards import RewardEnsemble, RewardSettings, read_features, train_reward
from assay.rewards.features import surface_features

WORDS = ["sky", "blue", "light", "water", "sleep", "walk", "friend", "capital", "France", "city"]


def preferences_for_length(now, prompts=12):
    """Longer is better, so that a reward has something plain to learn."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(prompts):
        prompt = user_prompt(f"Question {i} about the {WORDS[i % 10]}?")
        for _ in range(4):
            short = " ".join(rng.choice(WORDS, size=int(rng.integers(2, 6)))) + "."
            long = " ".join(rng.choice(WORDS, size=int(rng.integers(10, 20)))) + "."
            made.append(
                Preference(
                    created_at=now,
                    prompt=prompt,
                    chosen=long,
                    rejected=short,
                    margin=2.0,
                    standard_error=0.5,
                    probability=0.9,
                    judgements=(f"j{len(made)}",),
                    annotators=("ann",),
                    aggregation="a",
                )
            )
    return made


@pytest.fixture
def trained(tiny_lm, now):
    return train_reward(tiny_lm, preferences_for_length(now), RewardSettings(directions=8), seed=1)


def test_a_plain_preference_is_learnt_and_its_quality_is_stated(trained):
    assert trained.quality.accuracy > 0.9
    assert trained.quality.pairs == 12
    assert trained.fitted_pairs == 36
    assert len(trained.member_accuracy) == 5
    assert trained.quality.length_correlation > 0.5
    assert trained.quality.ece <= trained.quality.ece_before + 0.05


def test_members_are_centred_and_scaled_on_the_reference(trained, tiny_lm, now):
    preferences = preferences_for_length(now)
    rows = list(dict.fromkeys((p.prompt, text) for p in preferences for text in (p.chosen, p.rejected)))
    features = read_features(tiny_lm, [r[0] for r in rows], [r[1] for r in rows], layers=trained.ensemble.layers)
    members = trained.ensemble.score(features).members
    np.testing.assert_allclose(members.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(members.std(0), 1, atol=1e-6)


def test_members_differ(trained, tiny_lm):
    features = read_features(
        tiny_lm, [user_prompt("Why?")] * 3, ["One.", "Two words.", "Three words here."], layers=trained.ensemble.layers
    )
    assert (trained.ensemble.score(features).disagreement > 0).all()


def test_a_saved_ensemble_scores_as_before(trained, tiny_lm, tmp_path):
    features = read_features(tiny_lm, [user_prompt("Why?")], ["Because it is."], layers=trained.ensemble.layers)
    trained.ensemble.save(tmp_path)
    again = RewardEnsemble.open(tmp_path)
    np.testing.assert_array_equal(again.score(features).reward, trained.ensemble.score(features).reward)
    assert again.temperature == trained.ensemble.temperature


def test_a_directory_without_a_reward_is_refused(tmp_path):
    with pytest.raises(StorageError, match="expected a reward in"):
        RewardEnsemble.open(tmp_path)


def test_probability_is_one_half_for_equal_completions_and_symmetric(trained, tiny_lm):
    layers = trained.ensemble.layers
    one = read_features(tiny_lm, [user_prompt("Why?")], ["Sky."], layers=layers)
    two = read_features(
        tiny_lm, [user_prompt("Why?")], ["The sky is blue because of the light, you see."], layers=layers
    )
    assert trained.ensemble.probability(one, one) == pytest.approx(0.5)
    assert trained.ensemble.probability(one, two) == pytest.approx(1 - trained.ensemble.probability(two, one))


def test_the_same_seed_gives_the_same_ensemble(tiny_lm, now):
    settings = RewardSettings(directions=4)
    one, two, other = (train_reward(tiny_lm, preferences_for_length(now), settings, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(one.ensemble.members[0].theta, two.ensemble.members[0].theta)
    assert not np.array_equal(one.ensemble.members[0].theta, other.ensemble.members[0].theta)


def test_too_few_preferences_are_refused(tiny_lm, now):
    with pytest.raises(TrainingError, match="at least 8 preferences on 4 prompts; got 4 on 1"):
        train_reward(tiny_lm, preferences_for_length(now, prompts=1), RewardSettings(), seed=0)


def test_features_are_read_once_and_then_come_from_the_cache(tiny_lm, tmp_path, monkeypatch):
    prompts, texts = [user_prompt("Why?")] * 2, ["One.", "Two."]
    first = read_features(tiny_lm, prompts, texts, layers=(1, 2), cache=tmp_path)
    monkeypatch.setattr("assay.rewards.features.hidden_features", lambda *_a, **_k: pytest.fail("computed again"))
    second = read_features(tiny_lm, prompts, texts, layers=(1, 2), cache=tmp_path)
    np.testing.assert_array_equal(first.mean, second.mean)


def test_unknown_names_are_refused_by_the_settings():
    with pytest.raises(ValueError, match="expected names among"):
        RewardSettings(feature_maps=("nonsense",))
    with pytest.raises(ValueError, match="expected one of"):
        RewardSettings(aggregation="median")


def test_surface_counts_words_lines_and_marks():
    found = surface_features("- one\n- two!\nIs it?")
    assert np.expm1(found[0]) == pytest.approx(6)
    assert found[1] == 1.0
    assert [round(float(np.expm1(v))) for v in found[2:6]] == [3, 2, 1, 1]
