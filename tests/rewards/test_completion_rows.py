"""Completion rows: each text once, choices as labels, what no longer holds left out, folds that keep prompts whole."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_cases import judgement, marked_preferences, prompt_number

from assay.rewards.completion_rows import CompletionRows, choice_pairs, preference_pairs, prompt_folds, standing


def test_one_text_under_two_prompts_is_two_rows_and_the_same_twice_is_one():
    rows = CompletionRows()
    one, two = prompt_number(1), prompt_number(2)
    assert [rows.number(one, "yes"), rows.number(two, "yes"), rows.number(one, "no"), rows.number(one, "yes")] == [
        0,
        1,
        2,
        0,
    ]
    assert rows.completions == ["yes", "yes", "no"]
    assert rows.group == [0, 1, 0]


def test_a_tie_is_one_half_and_who_cannot_judge_says_nothing(now):
    rows = CompletionRows()
    choices = ["first", "second", "tie", "both_bad", "cannot_judge"]
    said = [judgement(now, prompt_number(0), "a", "b", choice) for choice in choices]
    pairs = choice_pairs(rows, [(j, j.choice) for j in said])
    assert pairs.probability.tolist() == [1.0, 0.0, 0.5, 0.5]
    assert pairs.chosen.tolist() == [0] * 4


def test_superseded_doubled_and_empty_comparisons_do_not_stand(now):
    first = judgement(now, prompt_number(0), "a", "b", "first")
    mended = judgement(now, prompt_number(0), "a", "b", "second").model_copy(update={"supersedes": first.id})
    equal = judgement(now, prompt_number(0), "a", "a", "first")
    assert standing([first, mended, mended, equal]) == [mended]


def test_preferences_point_at_their_texts(now):
    rows = CompletionRows()
    preferences = marked_preferences(now, prompts=2, pairs=2)
    pairs = preference_pairs(rows, preferences)
    assert [rows.completions[i] for i in pairs.chosen] == [p.chosen for p in preferences]
    assert [rows.completions[i] for i in pairs.rejected] == [p.rejected for p in preferences]


@settings(max_examples=40)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 5), st.integers(0, 9))
def test_no_prompt_lies_in_two_folds_and_folds_differ_by_at_most_one_prompt(group, folds, seed):
    found = prompt_folds(np.array(group), folds=folds, rng=np.random.default_rng(seed))
    by_prompt = dict(zip(group, found, strict=True))
    assert all(by_prompt[g] == f for g, f in zip(group, found, strict=True))
    sizes = [list(by_prompt.values()).count(fold) for fold in range(folds)]
    assert max(sizes) - min(sizes) <= 1
