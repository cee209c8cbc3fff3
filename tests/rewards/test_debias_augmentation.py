"""Augmentation: which pairs are made, that they cross prompts, and that style is balanced in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.rewards.bradley_terry import Pairs, fit_head
from assay.rewards.debias.augmentation import augment


def some_pairs(group):
    n = len(group)
    return Pairs(np.arange(n), np.arange(n, 2 * n), np.full(n, 0.9), np.arange(1.0, n + 1))


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12).filter(lambda g: len(set(g)) > 1), st.integers(0, 99))
def test_every_new_completion_is_of_another_prompt(group, seed):
    group = np.array(group)
    n, pairs = len(group), some_pairs(group)
    new = augment(pairs, group, rows=2 * n, contrasts=2, ties=1, rng=np.random.default_rng(seed))
    group_of_row = np.concatenate([group, group])
    assert (group_of_row[new.prompt_row] != group_of_row[new.completion_row]).all()
    contrasts = slice(0, 2 * n)
    np.testing.assert_array_equal(new.pairs.chosen[contrasts], np.concatenate([pairs.chosen, pairs.rejected]))
    placed = new.pairs.rejected - 2 * n
    np.testing.assert_array_equal(group_of_row[new.prompt_row[placed]], group[new.source])
    np.testing.assert_array_equal(new.pairs.probability, [1.0] * (2 * n) + [0.5] * n)
    np.testing.assert_array_equal(new.pairs.weight, pairs.weight[new.source])


def test_a_tie_is_of_both_completions_of_one_other_pair():
    group = np.array([0, 1])
    new = augment(some_pairs(group), group, rows=4, contrasts=0, ties=1, rng=np.random.default_rng(0))
    first, second = new.completion_row[new.pairs.chosen - 4], new.completion_row[new.pairs.rejected - 4]
    np.testing.assert_array_equal(first, [1, 0])
    np.testing.assert_array_equal(second, [3, 2])


def test_a_completion_under_a_prompt_is_one_row_however_often_it_is_used():
    group = np.array([0, 0, 1])
    new = augment(some_pairs(group), group, rows=6, contrasts=20, ties=20, rng=np.random.default_rng(1))
    rows = list(zip(new.prompt_row.tolist(), new.completion_row.tolist(), strict=True))
    assert len(rows) == len(set(rows)) == 6  # prompt 0 with two foreign completions, prompt 1 with four
    assert set(new.pairs.rejected.tolist()) == set(range(6, 12))


def test_a_habit_of_style_teaches_less_beside_contrasts_and_ties():
    rng = np.random.default_rng(2)
    n = 300
    fit, style = rng.normal(size=2 * n), rng.normal(size=2 * n)
    style[:n] += 1.0  # the chosen are long, whatever the prompt
    x = np.column_stack([fit, style])
    x[:n, 0] += 1.0
    group = np.arange(n)
    pairs = Pairs(np.arange(n), np.arange(n, 2 * n), np.ones(n), np.ones(n))
    new = augment(pairs, group, rows=2 * n, contrasts=2, ties=2, rng=rng)
    misplaced = np.column_stack([np.full(len(new.completion_row), -2.0), x[new.completion_row, 1]])
    every = np.vstack([x, misplaced])
    both = Pairs(*(np.concatenate([old, made]) for old, made in zip(pairs[:4], new.pairs[:4], strict=True)))
    plain = fit_head(x, pairs, ridge=0.01, sum_to_zero=0.0)
    balanced = fit_head(every, both, ridge=0.01, sum_to_zero=0.0)
    assert balanced[1] / balanced[0] < 0.5 * plain[1] / plain[0]


def test_pairs_of_one_prompt_and_nothing_asked_for_are_refused():
    one = some_pairs(np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="at least two prompts"):
        augment(one, np.zeros(3, dtype=int), rows=6, contrasts=1, ties=0, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least one contrast or tie"):
        augment(one, np.arange(3), rows=6, contrasts=0, ties=0, rng=np.random.default_rng(0))
