"""Text statistics against hand-counted texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.monitors.text_statistics import repetition, word_count


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
