"""Rules: worked values of each, plain data to a reward, every fault told, hostile text survived."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError
from assay.rewards.rules import RULES, build_rules

PROMPT = user_prompt("Why?")
EXAMPLES = {
    "word_window": {"fewest": 2, "most": 4},
    "list_form": {"fewest": 2, "most": 3},
    "required_phrases": {"phrases": ["thank you", "Paris"]},
    "forbidden_phrases": {"phrases": ["great question"]},
    "pattern": {"pattern": r"\d+"},
    "valid_json": {"keys": ["a", "b"]},
    "no_repetition": {"n": 2},
    "ends_sentence": {},
}


def kept(rule, text, **settings):
    return RULES[rule](**(EXAMPLES[rule] | settings)).kept(PROMPT, text)


@pytest.mark.parametrize(
    ("rule", "text", "settings", "expected"),
    [
        ("word_window", "one", {}, 0.5),
        ("word_window", "one two three", {}, 1.0),
        ("word_window", "one two three four five six seven eight", {}, 0.5),
        ("word_window", "", {}, 0.0),
        ("list_form", "- one", {}, 0.5),
        ("list_form", "Steps:\n1. one\n2) two\n * three", {}, 1.0),
        ("list_form", "- a\n- b\n- c\n- d\n- e\n- f", {}, 0.5),
        ("list_form", "No list - only a dash.", {"fewest": 0, "most": 0}, 1.0),
        ("list_form", "- one", {"fewest": 0, "most": 0}, 0.0),
        ("required_phrases", "THANK   you all", {}, 0.5),
        ("required_phrases", "Thank you, Paris!", {}, 1.0),
        ("required_phrases", "Parisian thanks", {}, 0.0),
        ("forbidden_phrases", "Sure.", {}, 1.0),
        ("forbidden_phrases", "Great question! What a great\nquestion.", {}, 1 / 3),
        ("pattern", "in 1999", {}, 1.0),
        ("pattern", "in 1999", {"is_wanted": False}, 0.0),
        ("valid_json", '{"a": 1, "c": 2}', {}, 0.5),
        ("valid_json", '["a", "b"]', {}, 0.0),
        ("valid_json", '["a", "b"]', {"keys": []}, 1.0),
        ("valid_json", '{"a": NaN, "b": 1}', {}, 0.0),
        ("valid_json", 'Here: {"a": 1, "b": 2}', {}, 0.0),
        ("valid_json", '```json\n{"a": 1, "b": 2}\n```', {}, 0.0),
        ("valid_json", '```json\n{"a": 1, "b": 2}\n```', {"may_be_fenced": True}, 1.0),
        ("no_repetition", "a b a b", {}, 2 / 3),
        ("no_repetition", "a b c d", {}, 1.0),
        ("no_repetition", "A b a B", {"n": 1}, 0.5),
        ("no_repetition", "word", {}, 1.0),
        ("ends_sentence", 'He said "yes."', {}, 1.0),
        ("ends_sentence", "**Done!**  \n", {}, 1.0),
        ("ends_sentence", "and then the", {}, 0.0),
        ("ends_sentence", "", {}, 0.0),
    ],
)
def test_each_rule_gives_its_worked_value(rule, text, settings, expected):
    assert kept(rule, text, **settings) == pytest.approx(expected)


@given(st.sampled_from(sorted(RULES)), st.text(max_size=60))
def test_any_text_gets_a_share_between_zero_and_one(rule, text):
    assert 0.0 <= kept(rule, text) <= 1.0


def test_hostile_json_is_broken_json():
    assert kept("valid_json", "[" * 200_000) == 0.0
    assert kept("valid_json", '{"a": ' + "9" * 10_000 + "}") == 0.0


def test_every_rule_says_what_it_catches_and_what_it_misses():
    for name, rule in RULES.items():
        assert rule.name == name
        assert len(rule.catches) > 10
        assert len(rule.misses) > 10
    assert set(EXAMPLES) == set(RULES)


def test_rules_add_up_by_weight_or_the_worst_counts():
    plain = [{"rule": "ends_sentence", "weight": 3}, {"rule": "word_window", "most": 2}]
    prompts, texts = [PROMPT] * 2, ["One two.", "One two three four"]
    scores = build_rules(plain).score_texts(prompts, texts)
    np.testing.assert_allclose(scores.members, [[1, 1], [0, 0.5]])
    np.testing.assert_allclose(scores.reward, [1, 0.125])
    np.testing.assert_allclose(build_rules(plain, combination="worst").score_texts(prompts, texts).reward, [1, 0])
    assert build_rules(plain).score_texts([], []).members.shape == (0, 2)


def test_the_identity_follows_the_settings_and_not_the_name():
    one = build_rules([{"rule": "word_window", "most": 2}])
    two = build_rules([{"rule": "word_window", "most": 3}])
    assert one.identity("a").content_hash == one.identity("b").content_hash
    assert one.identity("a").content_hash != two.identity("a").content_hash
    assert one.identity("a").scorer_kind == "rule"


def test_all_faults_of_all_rules_are_told_together():
    plain = [
        {"rule": "no_such"},
        {"rule": "word_window", "most": 0},
        {"rule": "word_window", "fewest": 5, "most": 2},
        {"rule": "pattern", "pattern": "("},
        {"rule": "required_phrases", "phrases": [" "], "weight": -1},
        {"rule": "ends_sentence", "colour": "red"},
    ]
    with pytest.raises(ConfigError) as caught:
        build_rules(plain, combination="median")
    told = str(caught.value)
    for part in (
        "median",
        "no_such",
        "rule 2, most",
        "fewest <= most",
        "regular expression",
        "blank",
        "got -1",
        "colour",
    ):
        assert part in told, part
    with pytest.raises(ConfigError, match="at least one rule"):
        build_rules([])


def test_a_project_brings_a_rule_of_its_own():
    class Shouts:
        name, catches, misses = "shouts", "capital letters", "everything else"

        def kept(self, prompt, completion):
            return float(completion.isupper())

        def model_dump(self, *, mode):
            return {}

    reward = build_rules([{"rule": "shouts"}], registry={**RULES, "shouts": Shouts})
    assert reward.score_texts([PROMPT] * 2, ["YES", "yes"]).reward.tolist() == [1.0, 0.0]
