"""Arms and stack: aggregation as in the product, words found, asked about and taken out, good words left alone."""

import numpy as np
import pytest
from overoptimisation_worlds import PLAN, SMALL, drawn

from assay.bench.overoptimisation import labels, stack
from assay.bench.overoptimisation.arms import PEERS, PeerConstants, aggregated
from assay.bench.overoptimisation.fitting import Scored, bootstraps, fit
from assay.bench.overoptimisation.stack import Parts, Questions, StackConstants
from assay.bench.overoptimisation.world import WorldSettings


@pytest.fixture(scope="module")
def played():
    seen, truth, _ = drawn("in_support_marker", seed=1)
    return seen, truth, fit(seen, np.random.default_rng(2))


def with_word(seen, column, share):
    """A reward that is noise plus a liking for one word."""
    noise = np.random.default_rng(3).normal(size=seen.candidates.markers.shape[:2])
    return noise + share * seen.candidates.markers[..., column]


def test_every_peer_gives_a_reward_on_the_scale_of_the_reference(played):
    seen, _, fitted = played
    for name, arm in PEERS.items():
        rewarded = arm.reward(seen, fitted, PeerConstants())
        assert rewarded.reward.shape == seen.candidates.markers.shape[:2], name
        assert 0.3 < rewarded.reference_reward.std() < 2.5, name
    wco, mean = (PEERS[name].reward(seen, fitted, PeerConstants()).reward for name in ("WCO", "mean"))
    assert np.all(wco <= mean + 1e-6)
    np.testing.assert_allclose(mean, fitted.plain.candidates.mean(2), atol=1e-5)


def test_arms_without_length_do_not_follow_it():
    seen, _, _ = drawn("hack", seed=1)
    fitted = fit(seen, np.random.default_rng(2))
    length = seen.reference.surface[:, 0]

    def correlation(scored):
        return abs(np.corrcoef(scored.reference[:, 0], length)[0, 1])

    assert correlation(fitted.single) > 0.2
    assert correlation(fitted.loess) < 0.15
    assert correlation(fitted.odin) < 0.15
    for column in range(2):
        surface = seen.reference.surface[:, column]
        named = [np.corrcoef(member, surface)[0, 1] for member in fitted.named.reference.T]
        assert np.abs(named).max() < 0.01


def test_a_bootstrap_weighs_as_many_pairs_as_there_are(played):
    seen, _, _ = played
    for sample in bootstraps(seen.pairs, np.random.default_rng(0)):
        assert sample.weight.sum() == len(seen.pairs.chosen)
        assert len(sample.chosen) < len(seen.pairs.chosen)


def test_a_liked_word_is_a_suspect_and_noise_has_hardly_any(played):
    seen, _, _ = played
    constants = StackConstants(probe_of=16)
    assert stack.suspects(seen, with_word(seen, 7, 2.0), constants)[0] == 7
    assert len(stack.suspects(seen, with_word(seen, 7, 0.0), constants)) <= 1


def test_an_audit_asks_about_one_prompts_completions_with_and_without_the_word(played):
    seen, _, _ = played
    constants = StackConstants(audit_questions=15)
    asked = stack.questions(seen, with_word(seen, 7, 2.0), [7, 3], constants)
    assert len(asked.word) == 30
    for word, having, lacking in zip(*asked, strict=True):
        markers = seen.candidates.markers.reshape(-1, seen.candidates.markers.shape[-1])[:, word]
        assert markers[having]
        assert not markers[lacking]
        assert having // SMALL.candidates == lacking // SMALL.candidates


def test_an_audit_condemns_the_harmful_word_and_spares_good_ones():
    settings = WorldSettings(prompts=16, candidates=128, reference=512)
    seen, truth, _ = drawn("in_support_marker", seed=4, settings=settings)
    reward = with_word(seen, 0, 1.0)
    asked = stack.questions(seen, reward, [0, 1, 2], StackConstants(audit_questions=200))
    answers = labels.audit(truth.gold, asked.having, asked.lacking, settings, np.random.default_rng(0))
    assert stack.unwanted(asked, answers, StackConstants()) == [0]


def test_a_word_is_unwanted_when_too_few_prefer_it():
    asked = Questions(np.array([1, 1, 2, 2]), np.arange(4), np.arange(4))
    answers = np.array([True, False, False, False])
    assert stack.unwanted(asked, answers, StackConstants()) == [2]
    assert stack.unwanted(asked, answers, StackConstants(unwanted_below=0.5)) == [2]
    assert stack.unwanted(asked, ~answers, StackConstants()) == []


def test_a_word_taken_out_has_no_slope_left_and_the_rest_stays(played):
    seen, _, fitted = played
    members = fitted.named
    cleaned = stack.without_words(seen, members, [0])
    has = seen.reference.markers[:, 0]
    np.testing.assert_allclose(cleaned.reference[has].mean(0), cleaned.reference[~has].mean(0), atol=1e-6)
    moved = cleaned.candidates - members.candidates
    inside = seen.candidates.markers[..., 0]
    for member in range(moved.shape[-1]):
        assert np.ptp(moved[..., member][inside]) < 1e-5
        assert np.ptp(moved[..., member][~inside]) < 1e-5
    assert stack.without_words(seen, members, []) is members


def test_outliers_cost_and_ordinary_texts_do_not(played):
    seen, _, fitted = played
    costs = stack.outlier_costs(seen, fitted, StackConstants())
    inside = fitted.distance < np.quantile(fitted.reference_distance, 0.5)
    mild = np.abs(seen.candidates.surface).max(2) < 0.5
    assert np.all(costs.candidates[inside & mild] == 0)
    assert costs.candidates[fitted.distance > fitted.outlier_cut].min() > 0
    scored = Scored(np.zeros((*fitted.distance.shape, 5)), np.zeros((len(fitted.reference_distance), 5)))
    assert np.array_equal(stack.penalised(scored, costs, Parts()).reward, -costs.candidates)
    plain = stack.penalised(scored, costs, Parts(outliers=False))
    assert np.array_equal(plain.reward, aggregated(scored, "wco").reward)


def test_each_variant_but_the_stack_leaves_out_one_part():
    assert stack.VARIANTS["Assay"] == Parts()
    for name, parts in stack.VARIANTS.items():
        if name != "Assay":
            missing = [part for part, is_on in parts.model_dump().items() if not is_on]
            assert name == f"Assay without {missing[0]}"
            assert len(missing) == 1


def test_the_committed_audit_is_small_beside_the_labels():
    constants = PLAN.constants.stack
    assert constants.audit_words * constants.audit_questions <= 0.3 * PLAN.regimes["hack"].pairs
