"""Hedging: the knob where the true score peaks, against closed forms, finite differences and exhaustive search."""

import numpy as np
import pytest

from assay.records.errors import ConfigError, InputError
from assay.rewards.inference_time import SELECTIONS, best_of_poisson_weights, expected, hedge
from assay.rewards.inference_time.hedging import RULES


def hacked_scores(seed=0, prompts=40, candidates=64):
    """A proxy that is right in the middle and wrong at the top: true = quality less a steep price of the trick."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=(prompts, candidates))
    trick = rng.standard_t(3, size=(prompts, candidates))
    return quality + 0.5 * trick, quality - np.maximum(trick - 1, 0)


def test_best_of_n_peaks_where_the_closed_form_says():
    # With true(u) = u - u^9 / 4 at quantile u the mean under best-of-n is n/(n+1) - n/(4 (n+9)); its peak is n = 15.
    u = np.arange(1, 20_001)[None] / 20_000
    found = hedge("best_of_n", u, u - u**9 / 4)
    assert found.knob == pytest.approx(15, abs=0.02)
    assert found.true_score == pytest.approx(15 / 16 - 15 / 96, abs=1e-4)
    assert found.is_interior and found.at_base < found.true_score > found.at_hardest


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_slope_is_the_derivative_of_the_value(rule):
    respond, strengths, _ = RULES[rule](*hacked_scores(prompts=3, candidates=12))
    for strength in strengths[10:30:5]:
        step = 1e-6 * strength
        finite = (respond(strength + step).value - respond(strength - step).value) / (2 * step)
        assert respond(strength).slope == pytest.approx(finite, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("rule", ["best_of_poisson", "pessimism", "soft_best_of_n"])
def test_the_knob_is_the_best_that_a_search_of_the_rule_itself_finds(rule):
    proxy, true = hacked_scores()
    found = hedge(rule, proxy, true)
    at_knob = expected(SELECTIONS[rule](proxy, found.knob), true).mean()
    assert found.true_score == pytest.approx(at_knob, abs=1e-9)
    searched = [expected(SELECTIONS[rule](proxy, knob), true).mean() for knob in np.geomspace(0.02, 60, 300)]
    assert found.true_score >= max(searched) - 1e-9
    assert found.true_score == pytest.approx(max(searched), abs=2e-3)
    assert found.is_interior and found.true_score > max(found.at_base, found.at_hardest) + 0.02


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_faithful_proxy_is_pressed_to_the_end_and_a_contrary_one_not_at_all(rule):
    proxy, _ = hacked_scores(prompts=4)
    pressed, spared = hedge(rule, proxy, proxy), hedge(rule, proxy, -proxy)
    assert not pressed.is_interior and pressed.true_score == pressed.at_hardest > pressed.at_base
    assert not spared.is_interior and spared.true_score == spared.at_base > spared.at_hardest
    assert spared.at_base == pytest.approx(-proxy.mean(), abs=0.01)


def test_equal_proxies_share_their_true_score():
    proxy = np.array([[0.0, 1.0, 1.0, 2.0]])
    true = np.array([[0.0, 5.0, 1.0, -1.0]])
    respond = RULES["best_of_poisson"](proxy, true).respond
    exact = expected(best_of_poisson_weights(proxy, 2.0), true)[0]
    assert respond(2.0).value == pytest.approx(exact)


def test_a_knob_set_on_some_prompts_holds_on_others():
    """In 20 worlds, hedged best-of-Poisson on unseen prompts beats pushing to the end every time, and the base."""
    gains = []
    for seed in range(20):
        proxy, true = hacked_scores(seed, prompts=80)
        mu = hedge("best_of_poisson", proxy[:40], true[:40]).knob
        hedged, pushed = (expected(best_of_poisson_weights(proxy[40:], m), true[40:]).mean() for m in (mu, 63.0))
        gains.append((hedged - pushed, hedged - true[40:].mean()))
    assert np.min([gain[0] for gain in gains]) > 0
    assert np.mean([gain[1] for gain in gains]) > 0.1


def test_what_cannot_be_hedged_is_refused():
    with pytest.raises(ConfigError, match="a rule among .*best_of_poisson"):
        hedge("beam", np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(InputError, match="one shape"):
        hedge("best_of_n", np.zeros((1, 2)), np.zeros((1, 3)))
    with pytest.raises(InputError, match="at least two a prompt"):
        hedge("best_of_n", np.zeros((3, 1)), np.zeros((3, 1)))
