"""Protocol: models on features become rewards on texts, rewards become plain functions."""

import numpy as np
import pytest
from reward_cases import marked_preferences

from assay.records.conversation import user_prompt
from assay.rewards import RewardSettings, read_features, train_reward
from assay.rewards.protocol import reading, scoring
from assay.rewards.scores import RewardScores, by_parts


class LengthModel:
    """Rewards the number of words, read from the surface."""

    layers = (2,)

    def score(self, features) -> RewardScores:
        words = np.expm1(features.surface[:, 0])
        return by_parts(words, np.stack([words, -words], axis=1))


def test_a_model_on_features_scores_texts_in_their_order_and_fills_the_cache(tiny_lm, tmp_path):
    reward = reading(LengthModel(), tiny_lm, cache=tmp_path)
    prompts = [user_prompt("Why?")] * 3
    score = scoring(reward)
    np.testing.assert_allclose(score(prompts, ["one", "one two three", "one two"]), [1, 3, 2])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_trained_ensemble_is_a_reward_on_texts(tiny_lm, now):
    ensemble = train_reward(tiny_lm, marked_preferences(now), RewardSettings(directions=8), seed=0).ensemble
    prompts, texts = [user_prompt("Why?")] * 2, ["Paris.", "I cannot."]
    found = reading(ensemble, tiny_lm).score_texts(prompts, texts)
    features = read_features(tiny_lm, prompts, texts, layers=ensemble.layers)
    np.testing.assert_array_equal(found.reward, ensemble.score(features).reward)
    assert found.members.shape == (2, 5)


def test_a_reward_of_parts_states_their_spread_and_no_outliers():
    scores = by_parts(np.array([1.0, 2.0]), np.array([[0.0, 2.0], [2.0, 2.0]]))
    assert scores.disagreement.tolist() == [1.0, 0.0]
    assert scores.outlier.tolist() == [False, False]


def test_prompts_and_completions_must_pair_up(tiny_lm):
    with pytest.raises(ValueError, match="zip"):
        reading(LengthModel(), tiny_lm).score_texts([user_prompt("Why?")], ["a", "b"])
