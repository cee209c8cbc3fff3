"""Groups: shrinkage between the group's own head and the common one, combinations worked by hand, faults named."""

import numpy as np
import pytest
from reward_cases import judgement, pairs_of, prompt_number, text_with

from assay.records.errors import InputError, TrainingError
from assay.rewards.bradley_terry import fit_head
from assay.rewards.features import read_features
from assay.rewards.groups import GroupReward, GroupSettings, fit_group_heads, fit_groups, fit_towards, worst_off_group

GROUPS = {"ann": "city", "bea": "city", "cyd": "village"}


def divided_judgements(now, *, prompts=16, pairs=4):
    """The city likes who says Paris, the village who says cannot."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(prompts):
        for k in range(pairs):
            first, second = text_with(["Paris"] * 3, rng), text_with(["cannot"] * 3, rng)
            for annotator, choice in (("ann", "first"), ("bea", "first"), ("cyd", "second")):
                number = i * pairs + k
                made.append(
                    judgement(now, prompt_number(i), first, second, choice, annotator=annotator, occurrence=number)
                )
    return made


@pytest.fixture
def fitted(tiny_lm, now):
    return fit_groups(tiny_lm, divided_judgements(now), GROUPS, GroupSettings(shrinkage=2.0), seed=0)


def test_each_group_is_rewarded_by_its_own_and_its_head_earns_its_keep(fitted):
    city, village = fitted.quality
    assert (city.group, city.judgements, village.judgements) == ("city", 128, 64)
    assert city.accuracy > 0.9
    assert village.accuracy > 0.9
    assert village.common_accuracy < 0.3


def test_the_worst_off_group_decides_or_the_mean_does(fitted, tiny_lm):
    reward = fitted.reward
    features = read_features(tiny_lm, [prompt_number(99)] * 2, ["Paris Paris day.", "I cannot."], layers=reward.layers)
    scores = reward.score(features)
    assert scores.members.shape == (2, 2)
    np.testing.assert_array_equal(scores.reward, scores.members.min(1))
    np.testing.assert_allclose(reward.with_combination("mean").score(features).reward, scores.members.mean(1))


def test_what_was_saved_scores_the_same(fitted, tiny_lm, tmp_path):
    fitted.reward.save(tmp_path)
    features = read_features(tiny_lm, [prompt_number(99)], ["Paris day."], layers=fitted.reward.layers)
    again = GroupReward.open(tmp_path)
    assert again.combination == "worst_off"
    np.testing.assert_array_equal(again.score(features).members, fitted.reward.score(features).members)


def test_the_worst_off_group_is_that_of_the_smallest_mean():
    # Means 1 and 0.5, though the first group has the smallest single reward.
    assert worst_off_group(np.array([[-3.0, 0.5], [5.0, 0.5]])) == 1


def test_shrinkage_goes_from_the_groups_own_head_to_the_common_one():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    one = pairs_of(range(20), range(20, 40), probability=0.9)
    two = pairs_of(range(20, 40), range(40, 60), probability=0.7)
    ridge = 0.05
    strong = GroupSettings(shrinkage=1e9, ridge=ridge, sum_to_zero=0.0)
    common, own = fit_group_heads(x, [one, two], strong)
    np.testing.assert_allclose(own, np.stack([common, common], axis=1), atol=1e-6)
    # Shrinkage towards zero of s over n judgements is a ridge of s / n.
    towards_zero = fit_towards(x, one, np.zeros(3), shrinkage=20 * ridge, sum_to_zero=0.0)
    np.testing.assert_allclose(towards_zero, fit_head(x, one, ridge=ridge, sum_to_zero=0.0), atol=1e-4)


def test_a_larger_group_moves_further_from_the_common_head():
    rng = np.random.default_rng(1)
    x = np.repeat(rng.normal(size=(2, 3)), [1, 1], axis=0)
    few, many = pairs_of([0] * 4, [1] * 4), pairs_of([0] * 400, [1] * 400)
    gaps = [np.linalg.norm(fit_towards(x, p, np.zeros(3), shrinkage=10.0, sum_to_zero=0.0)) for p in (few, many)]
    assert gaps[1] > 2 * gaps[0] > 0


def test_people_without_a_group_and_a_single_group_are_refused(tiny_lm, now):
    judgements = divided_judgements(now, prompts=4)
    with pytest.raises(InputError, match="a group for each annotator; got 2 without") as caught:
        fit_groups(tiny_lm, judgements, {"cyd": "village"}, GroupSettings(), seed=0)
    assert caught.value.faults == ("ann", "bea")
    with pytest.raises(TrainingError, match="at least two groups; got 1: all"):
        fit_groups(tiny_lm, judgements, dict.fromkeys(GROUPS, "all"), GroupSettings(), seed=0)


def test_a_group_of_too_few_judgements_is_named(tiny_lm, now):
    judgements = divided_judgements(now)
    few = [j for j in judgements if j.annotator != "cyd"] + [j for j in judgements if j.annotator == "cyd"][:3]
    with pytest.raises(TrainingError, match="judgements of group 'village'.* got 3 on"):
        fit_groups(tiny_lm, few, GROUPS, GroupSettings(), seed=0)
