"""Cost: exact gradient, a zero that means what it says, worked numbers, refusals."""

import numpy as np
import pytest
from reward_cases import pairs_of, prompt_number, text_with
from scipy.optimize import check_grad
from scipy.special import expit

from assay.records.errors import TrainingError
from assay.rewards.cost import (
    CostModel,
    CostSettings,
    Labelled,
    Signs,
    cost_loss_and_gradient,
    cost_quality,
    fit_cost,
    fit_cost_head,
    fit_zero,
)
from assay.rewards.features import read_features


def signs_of(rows, sign, weight=1.0):
    return Signs(np.array(rows), np.array(sign, dtype=float), np.full(len(rows), float(weight)))


def labelled(now, *, prompts=16, share=0.5):
    """Completions that say cannot are violations."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(prompts):
        for _ in range(6):
            is_violation = bool(rng.random() < share)
            text = text_with(["cannot" if is_violation else "Paris"] * 3, rng)
            made.append(Labelled(prompt=prompt_number(i), completion=text, is_violation=is_violation))
    return made


@pytest.mark.parametrize("with_pairs", [True, False])
def test_the_gradient_equals_finite_differences(with_pairs):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 4))
    pairs = pairs_of(range(5), range(5, 10), probability=0.8) if with_pairs else pairs_of([], [])
    signs = signs_of(range(10, 20), rng.choice([-1, 1], 10))._replace(weight=rng.uniform(0.5, 2, 10))

    def value(p):
        return cost_loss_and_gradient(p, x, pairs, signs, ridge=0.1, sign_weight=0.7)[0]

    def gradient(p):
        return cost_loss_and_gradient(p, x, pairs, signs, ridge=0.1, sign_weight=0.7)[1]

    assert check_grad(value, gradient, rng.normal(size=5)) < 1e-6


def test_labels_alone_put_the_shift_at_their_log_odds():
    # With nothing to tell completions apart, cost is the log-odds of a violation: 3 of 4.
    x = np.zeros((4, 1))
    fitted = fit_cost_head(x, pairs_of([], []), signs_of(range(4), [1, 1, 1, -1]), ridge=0.1, sign_weight=1.0)
    assert fitted[1] == pytest.approx(np.log(3), abs=1e-3)


def test_pairs_lower_the_cost_of_the_harmless_one():
    # One pair with p = 0.8 and feature difference 1; the labels stand at a row of zeros and say nothing of theta.
    x = np.array([[1.0], [0.0]])
    fitted = fit_cost_head(
        x, pairs_of([0], [1], probability=0.8), signs_of([1, 1], [1, -1]), ridge=1e-9, sign_weight=1.0
    )
    assert fitted[0] == pytest.approx(-np.log(4), abs=1e-2)


def test_the_zero_is_where_the_chance_of_a_violation_is_the_boundary():
    rng = np.random.default_rng(1)
    raw = rng.normal(size=40000)
    sign = np.where(rng.random(40000) < expit(2 * raw - 1), 1.0, -1.0)
    scale, shift = fit_zero(raw, sign)
    assert scale == pytest.approx(2, rel=0.05)
    assert -shift / scale == pytest.approx(0.5, abs=0.03)
    strict_scale, strict_shift = fit_zero(raw, sign, boundary=0.2)
    zero = -strict_shift / strict_scale
    assert expit(2 * zero - 1) == pytest.approx(0.2, abs=0.02)


def test_separable_labels_do_not_send_the_scale_to_infinity():
    scale, _ = fit_zero(np.array([-1.0, -2.0, 1.0, 2.0]), np.array([-1.0, -1.0, 1.0, 1.0]))
    assert 0 < scale < 20


def test_quality_counts_what_was_missed_and_who_was_accused():
    quality = cost_quality(np.array([1.0, -1.0, -1.0, 2.0]), np.array([1.0, 1.0, -1.0, -1.0]))
    assert (quality.labels, quality.violations, quality.missed, quality.accused) == (4, 2, 0.5, 0.5)
    assert quality.nll == pytest.approx((3 * np.log1p(np.exp(-1)) + 1 + 2 + np.log1p(np.exp(-2))) / 4)


def test_a_model_tells_violations_by_the_sign_also_among_only_violations(tiny_lm, now, tmp_path):
    fitted = fit_cost(tiny_lm, labelled(now), CostSettings(), seed=0)
    assert fitted.quality.missed < 0.2
    assert fitted.quality.accused < 0.2
    rng = np.random.default_rng(5)
    texts = [text_with([mark] * 3, rng) for mark in ("cannot", "Paris") for _ in range(20)]
    features = read_features(tiny_lm, [prompt_number(99)] * 40, texts, layers=fitted.model.layers)
    cost = fitted.model.cost(features)
    assert (cost[:20] > 0).mean() > 0.8
    assert (cost[20:] < 0).mean() > 0.8
    np.testing.assert_array_equal(fitted.model.score(features).reward, -cost)
    fitted.model.save(tmp_path)
    np.testing.assert_array_equal(CostModel.open(tmp_path).cost(features), cost)


def test_a_lower_boundary_misses_fewer_and_accuses_more(tiny_lm, now):
    few = labelled(now, share=0.3)
    noisy = [
        label.model_copy(update={"is_violation": not label.is_violation}) if number % 5 == 0 else label
        for number, label in enumerate(few)
    ]
    even = fit_cost(tiny_lm, noisy, CostSettings(), seed=0).quality
    strict = fit_cost(tiny_lm, noisy, CostSettings(boundary=0.1), seed=0).quality
    assert strict.missed < even.missed
    assert strict.accused > even.accused
    assert strict.nll == pytest.approx(even.nll)


def test_labels_of_one_kind_are_refused(tiny_lm, now):
    with pytest.raises(TrainingError, match="at least 4 violations and 4 harmless completions; got 96 and 0"):
        fit_cost(tiny_lm, labelled(now, share=1.0), CostSettings(), seed=0)
    with pytest.raises(TrainingError, match="only one kind"):
        fit_cost_head(np.ones((2, 1)), pairs_of([], []), signs_of([0, 1], [1, 1]), ridge=0.1, sign_weight=1.0)
