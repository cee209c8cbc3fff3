"""Text statistics against hand-counted texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.monitors.text_statistics import STYLE_FEATURES, repetition, word_count, word_variety


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("two words", 0.0),
        ("the cat sat on the mat", 0.0),
        ("a b c a b c", 0.25),  # abc, bca, cab, abc: 3 distinct of 4
        ("No no NO no no", 2 / 3),  # three times the same
    ],
)
def test_repetition_is_the_share_of_trigrams_seen_before(text, share):
    assert repetition(text) == pytest.approx(share)


@given(st.lists(st.sampled_from("abc"), min_size=3, max_size=30))
def test_saying_it_all_twice_repeats_more(words):
    text = " ".join(words)
    assert 0 <= repetition(text) < 1
    assert repetition(f"{text} {text}") >= repetition(text)


def test_words_are_split_at_any_white_space():
    assert word_count(" one two\n three\t") == 3
    assert word_count("  ") == 0


@pytest.mark.parametrize(
    ("feature", "has", "lacks"),
    [
        ("agreement", "Well, you're absolutely right about that.", "You have the right to disagree."),
        ("bold", "This is **very** important.", "2 ** 3 is 8 and a * b is a product."),
        ("exclamations", "Stop!", "Stop."),
        ("flattery", "What a great question!", "The question is whether it is great."),
        ("headings", "# Title\ntext", "#hashtag and C# are no headings"),
        ("hedging", "It might rain.", "It will rain, mightily."),
        ("lists", "Do this:\n- one\n- two", "A well-known fact, 3.5 times over - indeed."),
        ("lists", "1. first\n2. second", "In 1999 it was new."),
    ],
)
def test_a_habit_is_found_where_it_is_and_not_where_it_only_looks_like_it(feature, has, lacks):
    assert STYLE_FEATURES[feature](has) == 1
    assert STYLE_FEATURES[feature](lacks) == 0


def test_variety_is_distinct_words_of_the_first_fifty():
    assert word_variety("a b a B") == 0.5
    assert word_variety("") == 1.0
    varied = " ".join(f"w{i}" for i in range(50))
    assert word_variety(f"{varied} {varied}") == 1.0


@given(st.text(max_size=80))
def test_every_feature_of_any_text_is_a_share(text):
    assert all(0 <= feature(text) <= 1 for feature in STYLE_FEATURES.values())
