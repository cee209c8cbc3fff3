"""Ensemble: what its parts do to a score, in which order, and that all of it survives a save."""

import json

import numpy as np
import pytest

from assay.records.errors import ConfigError, StorageError
from assay.rewards.calibration import Calibrator, fit_isotonic
from assay.rewards.debias.loess import fit_loess
from assay.rewards.debias.nuisance import fit_residualiser
from assay.rewards.ensemble import LENGTH, Member, RewardEnsemble, Surface, surface_columns
from assay.rewards.feature_maps import fit_map
from assay.rewards.features import SURFACE_NAMES, Features
from assay.rewards.outliers import fit_outliers
from assay.rewards.shaping import Shaping


def some_features(seed, rows=60):
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(rows, 1, 6))
    return Features(states, states, rng.normal(size=(rows, len(SURFACE_NAMES))))


REFERENCE = some_features(0)


def member(seed, name="mean-low", **parts):
    view = fit_map(name, REFERENCE, directions=4)
    plain = Member(view, np.random.default_rng(seed).normal(size=view.mean.size), 0.0, 1.0, **parts)
    raw = plain.raw(REFERENCE)
    return plain._replace(shift=float(raw.mean()), scale=float(raw.std()))


def ensemble(*members, aggregation="mean", **parts):
    return RewardEnsemble(members, aggregation, 1.5, fit_outliers(REFERENCE, directions=3), (1,), **parts)


def test_warm_scores_like_its_one_averaged_member():
    warm = ensemble(member(1), member(2), member(3), aggregation="warm")
    fresh = some_features(9)
    np.testing.assert_allclose(warm.score(fresh).reward, warm.weight_average().score(fresh))
    assert warm.score(fresh).members.shape == (60, 3)


def test_warm_over_different_views_is_refused_wherever_it_is_asked_for():
    mixed = ensemble(member(1), member(2, "mean-low+surface"))
    with pytest.raises(ConfigError, match="share one view"):
        mixed.with_aggregation("warm").score(REFERENCE)
    with pytest.raises(ConfigError, match="share one view"):
        mixed.weight_average()


def test_warm_over_members_with_curves_of_their_own_is_refused():
    curved = [
        one._replace(curve=fit_loess(one.raw(REFERENCE), REFERENCE.surface[:, LENGTH]))
        for one in (member(1), member(2))
    ]
    with pytest.raises(ConfigError, match="share one view"):
        ensemble(*curved, aggregation="warm").score(REFERENCE)


def test_lying_outside_costs_the_weight_for_each_deviation_beyond_the_cut():
    free, charged = ensemble(member(1)), ensemble(member(1), outlier_weight=0.7)
    far = REFERENCE._replace(mean=REFERENCE.mean + 20)
    for features in (REFERENCE, far):
        lost = free.score(features).reward - charged.score(features).reward
        np.testing.assert_allclose(lost, 0.7 * free.outliers.penalty(features), atol=1e-12)
    assert (charged.score(far).reward < free.score(far).reward).all()
    inside = ~free.score(REFERENCE).outlier
    np.testing.assert_array_equal(charged.score(REFERENCE).reward[inside], free.score(REFERENCE).reward[inside])


def test_shaping_comes_last_and_margins_are_taken_before_it():
    plain = ensemble(member(1), member(2))
    anchor = plain.score(REFERENCE).members[:10]
    shaped = plain._replace(shaping=Shaping("par", slope=2.0), anchor=anchor)
    reward = plain.score(REFERENCE).reward
    expected = (1 / (1 + np.exp(-2 * (reward[:, None] - anchor.mean(1))))).mean(1)
    np.testing.assert_allclose(shaped.score(REFERENCE).reward, expected)
    np.testing.assert_allclose(shaped.score(REFERENCE).members, plain.score(REFERENCE).members)
    one, two = REFERENCE.take(range(20)), REFERENCE.take(range(20, 40))
    np.testing.assert_array_equal(shaped.probability(one, two), plain.probability(one, two))


def test_another_aggregation_is_shaped_against_its_own_reference():
    plain = ensemble(member(1), member(2))
    every = plain._replace(shaping=Shaping("whiten"), anchor=plain.score(REFERENCE).members)
    for name in ("mean", "wco", "single"):
        reward = every.with_aggregation(name).score(REFERENCE).reward
        assert reward.mean() == pytest.approx(0, abs=1e-12)
        assert reward.std() == pytest.approx(1)


def test_a_curve_stands_in_for_the_temperature():
    curve = fit_isotonic(np.array([0.5, 1.0, 2.0]), np.array([0.6, 0.7, 0.8]))
    bent = ensemble(member(1)).calibrated(Calibrator(isotonic=curve))
    one, two = REFERENCE.take(range(20)), REFERENCE.take(range(20, 40))
    margin = bent.score(one).reward - bent.score(two).reward
    np.testing.assert_allclose(bent.probability(one, two), curve.probability(margin))


def whole():
    """An ensemble with everything on."""
    surface = Surface(("log_words", "list_marks"), fit_residualiser(*_seen("mean-low", ("log_words", "list_marks"))))
    one = member(1, surface=surface)
    curve = fit_loess(one.raw(REFERENCE), REFERENCE.surface[:, LENGTH])
    plain = ensemble(one._replace(curve=curve), member(2, "mean-both"), outlier_weight=0.4)
    return plain._replace(
        shaping=Shaping("par", slope=0.5),
        anchor=plain.score(REFERENCE).members[:5],
        isotonic=fit_isotonic(np.array([0.5, 1.0]), np.array([0.6, 0.9])),
    )


def _seen(name, columns):
    return fit_map(name, REFERENCE, directions=4).apply(REFERENCE), surface_columns(REFERENCE, columns)


def test_everything_survives_a_save(tmp_path):
    made = whole()
    made.save(tmp_path)
    again, fresh = RewardEnsemble.open(tmp_path), some_features(7)
    for before, after in zip(made.score(fresh), again.score(fresh), strict=True):
        np.testing.assert_array_equal(before, after)
    half, other = fresh.take(range(30)), fresh.take(range(30, 60))
    np.testing.assert_array_equal(made.probability(half, other), again.probability(half, other))
    assert (again.shaping, again.outlier_weight) == (made.shaping, made.outlier_weight)


def test_what_is_off_leaves_no_trace_in_the_files(tmp_path):
    ensemble(member(1)).save(tmp_path)
    plain = json.loads((tmp_path / "reward.json").read_text())
    assert sorted(plain) == ["aggregation", "layers", "members", "outlier_cut", "temperature"]
    assert sorted(plain["members"][0]) == ["map", "scale", "shift"]


@pytest.mark.parametrize("lost", ["0.curve.slopes", "0.residualiser.centre", "isotonic.margins", "1.theta"])
def test_a_damaged_reward_is_refused(tmp_path, lost):
    from safetensors.numpy import load_file, save_file

    whole().save(tmp_path)
    tensors = load_file(tmp_path / "reward.safetensors")
    del tensors[lost]
    save_file(tensors, tmp_path / "reward.safetensors")
    with pytest.raises(StorageError, match="expected a reward in"):
        RewardEnsemble.open(tmp_path)
