"""Composite: the weighted sum by hand, what each part adds, how sure the whole is, its ceiling, faults refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError
from assay.records.identity import ScorerIdentity
from assay.rewards.composite import CompositeReward, Part, read_parts
from assay.rewards.protocol import RewardModel, Texts
from assay.rewards.rules import build_rules
from assay.rewards.scores import RewardScores, by_parts
from assay.rewards.shaping import Shaping

PROMPT = user_prompt("Why?")


class Fixed:
    """A learnt reward with two members that says these numbers."""

    def __init__(self, one, other, *, ceiling=None):
        self.members, self.ceiling = np.array([one, other], dtype=float).T, ceiling

    def score_on(self, texts):
        members = self.members
        outlier = np.array([True, *[False] * (len(members) - 1)])
        return RewardScores(members.mean(1), members, members.std(1), outlier, ceiling=self.ceiling)


def identity(name, **more):
    return ScorerIdentity(name=name, scorer_kind="rule", content_hash=name, **more)


def texts(*completions):
    return Texts(None, [PROMPT] * len(completions), completions)


def rule(name="no_repetition", **settings):
    return build_rules([{"rule": name, **settings}])


SHORT = rule("word_window", most=2)


def composite(*parts):
    return CompositeReward(tuple(Part(name, weight, model, identity(name)) for name, weight, model in parts))


def test_the_sum_its_parts_and_its_spread_by_hand():
    learnt = Fixed([1.0, 2.0], [3.0, 2.0])
    scores = composite(("learnt", 0.5, learnt), ("short", 4.0, SHORT)).score_on(texts("one two", "one two three four"))
    np.testing.assert_allclose(scores.components["learnt"], [1.0, 1.0])
    np.testing.assert_allclose(scores.components["short"], [4.0, 2.0])
    np.testing.assert_allclose(scores.reward, [5.0, 3.0])
    # Each member with what the rule adds: half of 1 and 3, plus 4.
    np.testing.assert_allclose(scores.members, [[4.5, 5.5], [3.0, 3.0]])
    np.testing.assert_allclose(scores.disagreement, [0.5, 0.0])
    assert scores.outlier.tolist() == [True, False]
    assert scores.are_estimates and scores.knows_outliers
    assert scores.ceiling is None and scores.at_ceiling is None


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=2))
def test_members_have_the_mean_and_spread_that_the_whole_has(weights):
    learnt = Fixed([1.0, -2.0, 0.0], [3.0, 5.0, 0.5])
    found = composite(("learnt", weights[0], learnt), ("short", weights[1], SHORT)).score_on(texts("a", "a b c", "a b"))
    np.testing.assert_allclose(found.members.mean(1), found.reward)
    np.testing.assert_allclose(found.members.std(1), found.disagreement, atol=1e-12)
    np.testing.assert_allclose(sum(found.components.values()), found.reward)


def test_rules_alone_have_a_ceiling_and_no_estimates():
    reward = composite(("short", 2.0, SHORT), ("fresh", 1.0, rule(n=1)))
    scores = reward.score_on(texts("one two", "one one", "one two three"))
    assert scores.ceiling == 3.0
    assert scores.at_ceiling == pytest.approx(1 / 3)
    assert not scores.are_estimates and not scores.knows_outliers
    assert isinstance(reward, RewardModel)


def test_the_proxy_speaks_for_how_sure_the_whole_is_where_several_are_learnt():
    one, other = Fixed([0.0], [2.0]), Fixed([5.0], [5.0])
    scores = composite(("other", 1.0, other), ("learnt", 1.0, one)).score_on(texts("a"))
    np.testing.assert_allclose(scores.members, [[5.0, 7.0]])
    both = composite(("other", 1.0, other), ("more", 1.0, one)).score_on(texts("a"))
    assert not both.are_estimates
    np.testing.assert_allclose(both.members, [[5.0, 1.0]])


def test_a_bound_counts_where_all_parts_have_one_and_it_can_be_reached():
    bounded = Fixed([1.0, 0.0], [1.0, 0.0], ceiling=1.0)
    assert composite(("learnt", 2.0, bounded), ("short", 1.0, SHORT)).score_on(texts("a", "a")).at_ceiling == 0.5
    reference = np.array([-1.0, 1.0])
    assert Shaping("clip", limit=2.0).ceiling(reference) == 2.0
    assert Shaping("par").ceiling(reference) is None
    assert Shaping().ceiling(reference) is None
    assert by_parts(np.zeros(1), np.zeros((1, 1))).ceiling is None


def test_identity_is_of_parts_and_weights_and_carries_their_rows():
    parts = [
        Part("a", 1.0, SHORT, identity("a", rows=("r2", "r1"))),
        Part("b", 2.0, SHORT, identity("b", rows=("r1",))),
    ]
    whole = CompositeReward(tuple(parts)).identity()
    assert whole.rows == ("r1", "r2")
    assert whole.name == "1 a + 2 b"
    heavier = CompositeReward((parts[0], parts[1]._replace(weight=3.0))).identity()
    assert heavier.content_hash != whole.content_hash == CompositeReward(tuple(parts)).identity().content_hash


def test_parts_are_read_with_their_weights():
    told = {"learnt": {}, "harm": {"reward": "harm", "weight": 2}, "brevity": {"rule": "word_window", "most": 9}}
    learnt, harm, brevity = read_parts(told)
    assert (learnt.name, learnt.weight, learnt.rule, learnt.reward) == ("learnt", 1.0, None, None)
    assert (harm.reward, harm.weight) == ("harm", 2)
    assert brevity.rule.rules[0].most == 9
    assert told["harm"] == {"reward": "harm", "weight": 2}  # what was given is left as it was


def test_all_faults_of_all_parts_are_told_together():
    told = {
        "Learnt": {"weight": 0, "reward": "x"},
        "learnt": {"reward": "x"},
        "a_sd": {"rule": "word_window"},
        "b": {"rule": "no_such"},
        "c": {"most": 3},
        "d": {"rule": "word_window", "most": 3, "weight": float("nan")},
    }
    with pytest.raises(ConfigError) as caught:
        read_parts(told)
    said = str(caught.value)
    for fault in (
        "Learnt: expected a name",
        "Learnt: expected a weight above 0; got 0",
        "learnt: expected no `reward`",
        "a_sd: expected a name of small letters, digits, - and _, that does not end in _sd",
        "a_sd: most: Field required",
        "b: rule 1: expected one of",
        "c: unknown key 'most'",
        "c: expected `rule`, or `reward`",
        "d: expected a weight above 0; got nan",
    ):
        assert fault in said, fault
    with pytest.raises(ConfigError, match="at least one part"):
        read_parts({})
