"""Reward training on the tiny model: learns, states its quality, survives a save, caches, refuses too little."""

import numpy as np
import pytest
from reward_cases import NOW

from assay.lm import load
from assay.records.conversation import user_prompt
from assay.records.errors import StorageError, TrainingError
from assay.records.preference import Preference
from assay.rewards import RewardEnsemble, RewardSettings, read_features, train_reward
from assay.rewards.debias.settings import AugmentationSettings, DebiasSettings, SmoothingSettings
from assay.rewards.features import surface_features
from assay.rewards.settings import OutlierSettings, ShapingSettings

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


@pytest.fixture(scope="module")
def trained(tiny_model_dir):
    """A reward that no test here changes."""
    return train_reward(load(str(tiny_model_dir)), preferences_for_length(NOW), RewardSettings(directions=8), seed=1)


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
    with pytest.raises(ValueError, match="expected names among"):
        RewardSettings(debias=DebiasSettings(surface=("charm",)))
    with pytest.raises(ValueError, match="one feature map, repeated"):
        RewardSettings(aggregation="warm")


def test_surface_counts_words_lines_and_marks():
    found = surface_features("- one\n- two!\nIs it?")
    assert np.expm1(found[0]) == pytest.approx(6)
    assert found[1] == 1.0
    assert [round(float(np.expm1(v))) for v in found[2:6]] == [3, 2, 1, 1]


PLAIN = RewardSettings(directions=8, feature_maps=("mean-low", "last-high"))


def reward_and_length(trained, lm, now):
    rows = list(dict.fromkeys((p.prompt, t) for p in preferences_for_length(now) for t in (p.chosen, p.rejected)))
    features = read_features(lm, [r[0] for r in rows], [r[1] for r in rows], layers=trained.ensemble.layers)
    return trained.ensemble.unshaped().score(features).reward, features.surface[:, 0]


def fitted(lm, now, **changes):
    return train_reward(lm, preferences_for_length(now), PLAIN.model_copy(update=changes), seed=1)


@pytest.mark.parametrize(
    ("debias", "left"),
    [
        (DebiasSettings(removal="residualise"), 0.1),
        (DebiasSettings(removal="decorrelate"), 0.1),
        (DebiasSettings(length_span=0.5), 0.1),
        (DebiasSettings(head="odin", odin_correlation=10.0), 0.2),  # its push away from length has to beat the labels
        (DebiasSettings(head="nuisance", removal="residualise", length_span=0.5), 0.1),
    ],
)
def test_a_reward_learnt_from_length_alone_loses_it_by_each_choice(tiny_lm, now, debias, left):
    before = np.corrcoef(*reward_and_length(fitted(tiny_lm, now), tiny_lm, now))[0, 1]
    after = np.corrcoef(*reward_and_length(fitted(tiny_lm, now, debias=debias), tiny_lm, now))[0, 1]
    assert before > 0.6
    assert abs(after) < left


def test_the_surface_as_a_regressor_takes_over_what_it_explains(tiny_lm, now):
    surface = {"feature_maps": ("mean-low+surface",)}
    plain = fitted(tiny_lm, now, **surface).ensemble.members[0].theta
    free = fitted(tiny_lm, now, **surface, debias=DebiasSettings(head="nuisance")).ensemble.members[0].theta
    assert abs(free[8]) < 0.2 * abs(plain[8])  # the column of log words, behind eight directions


def test_members_stay_centred_and_scaled_on_the_reference_under_every_choice(tiny_lm, now):
    debias = DebiasSettings(head="nuisance", removal="residualise", length_span=0.5)
    trained = fitted(tiny_lm, now, debias=debias)
    rows = list(dict.fromkeys((p.prompt, t) for p in preferences_for_length(now) for t in (p.chosen, p.rejected)))
    features = read_features(tiny_lm, [r[0] for r in rows], [r[1] for r in rows], layers=trained.ensemble.layers)
    members = trained.ensemble.score(features).members
    np.testing.assert_allclose(members.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(members.std(0), 1, atol=1e-6)


@pytest.mark.parametrize(
    "debias",
    [
        DebiasSettings(augmentation=AugmentationSettings(contrasts=2, ties=1)),
        DebiasSettings(smoothing=SmoothingSettings(rate=0.3)),
        DebiasSettings(labels="hard", margin_scale=0.5),
        DebiasSettings(augmentation=AugmentationSettings(ties=1), margin_scale=0.5),
    ],
)
def test_choices_about_labels_change_the_fit_and_only_the_fit(tiny_lm, now, debias):
    plain, changed = fitted(tiny_lm, now), fitted(tiny_lm, now, debias=debias)
    for one, other in zip(plain.ensemble.members, changed.ensemble.members, strict=True):
        np.testing.assert_array_equal(one.view.apply(_some(tiny_lm)), other.view.apply(_some(tiny_lm)))
        assert not np.allclose(one.theta, other.theta)
    assert changed.calibration_prompts == plain.calibration_prompts
    assert changed.fitted_pairs == plain.fitted_pairs == 36
    assert changed.quality.accuracy > 0.7


def _some(lm):
    return read_features(lm, [user_prompt("Why?")] * 2, ["One.", "Two words."], layers=(1, 2))


@pytest.mark.parametrize(("space", "odd"), [("states", "9" * 50), ("latent", "")])
def test_a_completion_unlike_the_reference_is_charged(tiny_lm, now, space, odd):
    outliers = OutlierSettings(weight=1.0, space=space, shrinkage=0.1)
    charged, free = fitted(tiny_lm, now, outliers=outliers), fitted(tiny_lm, now)
    features = read_features(tiny_lm, [user_prompt("Why?")], [odd], layers=free.ensemble.layers)
    lost = free.ensemble.score(features).reward - charged.ensemble.score(features).reward
    np.testing.assert_allclose(lost, charged.ensemble.outliers.penalty(features))
    assert lost[0] > 0.5


def test_demonstrations_move_the_anchor_and_judged_completions_are_not_read_twice(tiny_lm, now, monkeypatch):
    preferences = preferences_for_length(now)
    judged = [(p.prompt, text) for p in preferences for text in (p.chosen, p.rejected)]
    shown = [(user_prompt(f"Say {word}."), f"{word} it is, my friend, and nothing else.") for word in WORDS]
    read, real = [], read_features
    monkeypatch.setattr(
        "assay.rewards.training.read_features", lambda lm, p, c, **k: read.append(len(c)) or real(lm, p, c, **k)
    )
    anchored = train_reward(tiny_lm, preferences, PLAIN, seed=1, reference=[*judged, *shown])
    assert read == [len(set(judged)), len(shown)]
    features = real(tiny_lm, *zip(*judged, *shown, strict=True), layers=anchored.ensemble.layers)
    np.testing.assert_allclose(anchored.ensemble.score(features).members.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(anchored.ensemble.score(features).members.std(0), 1, atol=1e-5)


def test_a_shaped_reward_is_calibrated_before_shaping_and_saved_with_it(tiny_lm, now, tmp_path):
    plain, shaped = fitted(tiny_lm, now), fitted(tiny_lm, now, shaping=ShapingSettings(name="par"))
    assert shaped.quality == plain.quality
    shaped.ensemble.save(tmp_path)
    reward = RewardEnsemble.open(tmp_path).score(_some(tiny_lm)).reward
    np.testing.assert_array_equal(reward, shaped.ensemble.score(_some(tiny_lm)).reward)
    assert ((reward > 0) & (reward < 1)).all()


def test_warm_members_share_one_view(tiny_lm, now):
    trained = fitted(tiny_lm, now, feature_maps=("mean-low+surface",) * 3, aggregation="warm")
    average = trained.ensemble.weight_average()
    np.testing.assert_allclose(trained.ensemble.score(_some(tiny_lm)).reward, average.score(_some(tiny_lm)))
    assert trained.quality.accuracy > 0.9
