"""Sample statistics against hand-worked numbers, and the lexical contrast against texts that differ by chance alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.monitors import build_monitors
from assay.monitors.sample_statistics import (
    length_adjusted_gain,
    length_correlation,
    lexical_contrast,
    within_group_sd,
    within_prompts,
)
from assay.records.observation import Observation

PAIRS = [0, 0, 1, 1]


def test_prompts_are_taken_out_where_they_repeat():
    assert within_prompts(np.array([1.0, 3.0, 10.0, 20.0]), PAIRS).tolist() == [-1, 1, -5, 5]
    assert within_prompts(np.array([1.0, 3.0]), [0, 1]).tolist() == [-1, 1]


def test_the_spread_within_groups_is_the_mean_of_their_deviations():
    # s.d. of (1, 3) is sqrt(2), of (10, 20) is sqrt(50).
    spread = within_group_sd(np.array([1.0, 3.0, 10.0, 20.0]), PAIRS)
    assert spread == pytest.approx((np.sqrt(2) + np.sqrt(50)) / 2)
    assert within_group_sd(np.array([1.0, 3.0]), [0, 1]) is None


def test_reward_that_is_length_within_prompts_correlates_fully_whatever_the_prompts_are():
    lengths = np.exp([1.0, 2.0, 1.0, 3.0]) - 1
    assert length_correlation(np.array([5.0, 6.0, -9.0, -7.0]), lengths, PAIRS) == pytest.approx(1.0)
    assert length_correlation(np.ones(4), lengths, PAIRS) == 0


def test_a_gain_that_is_all_length_is_none_at_equal_length():
    # reward = 2 log(1 + length) in both samples; the second is longer by one unit of the logarithm.
    x0, x1 = np.array([1.0, 2.0, 1.0, 3.0]), np.array([2.0, 3.0, 2.0, 4.0])
    before, after = (2 * x0, np.exp(x0) - 1), (2 * x1, np.exp(x1) - 1)
    assert length_adjusted_gain(before, after, PAIRS) == pytest.approx(0.0)
    better = 2 * x1 + 0.7, after[1]
    assert length_adjusted_gain(before, better, PAIRS) == pytest.approx(0.7)


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.floats(-3, 3))
def test_a_gain_at_one_length_is_the_gain(rewards, gain):
    r, lengths = np.array(rewards), np.full(4, 9.0)
    assert length_adjusted_gain((r, lengths), (r + gain, lengths), PAIRS) == pytest.approx(gain)


def texts(rng, count, *, marked=0.0):
    """Completions of 30 words, rare and common, of which a share carries one word more."""
    words = [f"word{i}" for i in range(300)]
    weights = 1 / np.arange(2, 302)
    drawn = [" ".join(rng.choice(words, size=30, p=weights / weights.sum())) for _ in range(count)]
    return [f"{text} Frankly" if rng.random() < marked else text for text in drawn]


def measured(before, after, rng):
    contrast = lexical_contrast(before, after, rng=rng)
    return {"completions/lexical_shift": contrast.shift, "completions/lexical_rise": contrast.rise}


def test_the_word_that_spread_is_found_with_its_rise(now):
    rng = np.random.default_rng(0)
    before, after = texts(rng, 64, marked=0.1), texts(rng, 64, marked=0.7)
    contrast = lexical_contrast(before, after, rng=rng)
    assert contrast.word == "frankly"
    assert contrast.rise == pytest.approx(0.6, abs=0.15)
    assert contrast.shift > 6
    (monitor,) = build_monitors({"lexical_contrast": {}})
    assert monitor.observe(Observation(step=1, values=measured(before, after, rng)), now) is not None


def test_texts_that_differ_by_chance_alone_do_not_ring_and_are_centred(now):
    rng = np.random.default_rng(1)
    shifts = []
    for _ in range(25):
        (monitor,) = build_monitors({"lexical_contrast": {}})
        values = measured(texts(rng, 64, marked=0.1), texts(rng, 64, marked=0.1), rng)
        shifts.append(values["completions/lexical_shift"])
        assert monitor.observe(Observation(step=1, values=values), now) is None
    assert abs(np.mean(shifts)) < 0.8
    assert max(shifts) < 5


def test_the_same_generator_gives_the_same_contrast_and_no_words_give_none():
    before, after = (texts(np.random.default_rng(seed), 20) for seed in (2, 3))
    one, other = (lexical_contrast(before, after, rng=np.random.default_rng(9)) for _ in range(2))
    assert one == other
    assert lexical_contrast(["", "?"], ["!", ""], rng=np.random.default_rng(0)) is None


def test_a_word_in_every_text_or_in_two_is_not_looked_at():
    before, after = ["the a"] * 4, ["the b", "the b", "the c c", "the c"]
    contrast = lexical_contrast(before, after, rng=np.random.default_rng(0))
    assert contrast.word == "a"  # the only word in at least three texts and not in all
    assert contrast.rise == -1.0
