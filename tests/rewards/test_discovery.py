"""Discovery: planted habits are found by name; one and the same policy gives finds in one comparison of twenty."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from assay.records.conversation import user_prompt
from assay.records.errors import InputError
from assay.rewards.discovery import Corpus, contrast, contrast_within, discover, draft_review
from assay.rewards.markers import marked, markers, read_markers

NOUNS = ["sky", "river", "bread", "engine", "star", "song", "tree", "map", "glass", "rain", "wool", "salt"]
VERBS = ["moves", "shines", "waits", "turns", "falls", "grows"]
ALLOWED = 11
"""Of 100 true nulls at 5 %, more than 11 false finds come with probability below 0.5 %."""


def sentence(rng, topic):
    words = rng.choice(NOUNS, size=2)
    return f"The {topic} {rng.choice(VERBS)} when {words[0]} and {words[1]} {rng.choice(VERBS)}."


def answers(rng, prompts=16, each=4, habit=lambda _rng, text: text):
    """Completions of one policy: each prompt has its own topic, each completion one to three sentences."""
    asked, texts = [], []
    for number in range(prompts):
        for _ in range(each):
            text = " ".join(sentence(rng, NOUNS[number % 12]) for _ in range(int(rng.integers(1, 4))))
            asked.append(user_prompt(f"Question {number}"))
            texts.append(habit(rng, text))
    return Corpus(asked, texts)


def with_marker(share, marker="indeed"):
    return lambda rng, text: text.replace(" and ", f" and {marker} ", 1) if rng.random() < share else text


def names(found):
    return [name for habit in found.habits for name in (habit.find.marker, *habit.also)]


def test_the_markers_of_a_text_are_named_for_people():
    found = markers("Great question! It's so.\n1. **One** more\n- two…")
    assert {
        'word "it\'s"',
        'words "great question"',
        'mark "!"',
        'mark "**"',
        'line starts with "0."',
        'line starts with "-"',
        'opens with "great question"',
        'closes with "more two"',
        'ends in "…"',
    } <= set(found)
    assert found['mark "!"'] == 14


@given(st.lists(st.text(max_size=40), max_size=12))
@settings(max_examples=50)
def test_markers_are_claims_on_any_texts(texts):
    present, found = read_markers(texts)
    assert present.shape == (len(texts), len(found))
    assert set(np.unique(present.data)) <= {1.0}
    counts = present.toarray().sum(0)
    assert all(5 <= count <= len(texts) - 5 for count in counts)
    assert all(marked(text, marker) is not None for text in texts for marker in markers(text))


def test_one_marker_is_fisher_s_exact_test_by_hand():
    ours, theirs = np.zeros((20, 1), bool), np.zeros((30, 1), bool)
    ours[:12], theirs[:3] = True, True
    (find,) = contrast(ours, theirs, ["m"])
    assert (find.share_optimised, find.share_reference) == (0.6, 0.1)
    assert find.ratio == pytest.approx((12.5 / 21) / (3.5 / 31))
    assert find.p_value == pytest.approx(2 * fisher_exact([[12, 8], [3, 27]], alternative="greater").pvalue)


def test_holm_multiplies_by_the_markers_still_open_and_leaves_out_those_that_could_never_be_found():
    rng = np.random.default_rng(0)
    ours, theirs = rng.random((40, 60)) < 0.01, rng.random((40, 60)) < 0.01
    ours[:, 10:], theirs[:, 10:] = False, False  # in no text at all: not tested
    ours[:30, 0], theirs[:, 0] = True, False
    ours[:20, 1], theirs[:, 1] = True, False
    alone = [contrast(ours[:, [i]], theirs[:, [i]], ["m"])[0].p_value for i in (0, 1)]
    found = contrast(ours, theirs, [f"m{i}" for i in range(60)])
    assert [find.marker for find in found] == ["m0", "m1"]
    assert found[0].p_value == pytest.approx(2 * alone[0])  # two markers could be found
    assert found[1].p_value == pytest.approx(max(alone[1], found[0].p_value))


def test_benjamini_hochberg_finds_more_than_holm_among_many_true_ones():
    rng = np.random.default_rng(1)
    ours, theirs = rng.random((120, 40)) < 0.40, rng.random((120, 40)) < 0.22
    found = {how: contrast(ours, theirs, [str(i) for i in range(40)], correction=how) for how in ("holm", "bh")}
    assert 0 < len(found["holm"]) < len(found["bh"])
    assert {find.marker for find in found["holm"]} <= {find.marker for find in found["bh"]}


def test_a_marker_inside_the_support_is_found_among_many_others():
    """The weakness that outlier rates have: a base rate of 25 % that optimisation pushes to 49 %."""
    rng = np.random.default_rng(2)
    ours, theirs = rng.random((256, 50)) < 0.25, rng.random((256, 50)) < 0.25
    ours[:, 7] = rng.random(256) < 0.49
    assert [find.marker for find in contrast(ours, theirs, [str(i) for i in range(50)])] == ["7"]


def test_independent_rows_of_one_source_give_finds_in_at_most_one_of_twenty_comparisons():
    rng = np.random.default_rng(3)
    false = sum(
        bool(contrast(rng.random((80, 40)) < 0.3, rng.random((80, 40)) < 0.3, [str(i) for i in range(40)]))
        for _ in range(100)
    )
    assert false <= ALLOWED


def test_splits_of_one_policy_s_completions_give_finds_in_at_most_one_of_twenty_comparisons():
    rng = np.random.default_rng(4)
    false = 0
    for _ in range(100):
        both = answers(rng, prompts=8, each=4)
        present, found = read_markers(both.texts)
        groups = np.repeat(np.arange(8), 4)
        is_ours = np.tile([True, False], 16)
        sides = (present[is_ours], present[~is_ours], found, (groups[is_ours], groups[~is_ours]))
        false += bool(contrast_within(*sides, rng=rng, resamples=99))
    assert false <= ALLOWED


def test_what_prompts_differ_by_is_no_find_within_prompts():
    """One side has three completions where the marker is usual, the other where it is not: only the mix differs."""
    groups = (np.repeat([0, 1], [30, 10]), np.repeat([0, 1], [10, 30]))
    sides = [np.repeat([[True], [False]], counts, axis=0) for counts in ((30, 10), (10, 30))]
    assert contrast(*sides, ["topic"]) != ()
    assert contrast_within(*sides, ["topic"], groups, rng=np.random.default_rng(0)) == ()


def test_prompts_of_one_side_only_say_nothing():
    ours, theirs = np.ones((6, 1), bool), np.zeros((6, 1), bool)
    groups = (np.arange(6), np.arange(6, 12))
    assert contrast_within(ours, theirs, ["m"], groups, rng=np.random.default_rng(0)) == ()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_the_order_of_rows_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    ours, theirs = rng.random((30, 6)) < 0.7, rng.random((30, 6)) < 0.3
    found = contrast(ours, theirs, list("abcdef"))
    assert contrast(ours[rng.permutation(30)], theirs[rng.permutation(30)], list("abcdef")) == found
    swapped = {find.marker: find for find in contrast(theirs, ours, list("abcdef"))}
    assert {find.marker: find.share_reference for find in found} == {m: f.share_optimised for m, f in swapped.items()}


@pytest.mark.parametrize("shared", [True, False], ids=["within prompts", "other prompts"])
def test_a_planted_habit_is_found_by_name_with_examples(shared):
    prompts, each = (16, 4) if shared else (64, 1)
    reference = answers(np.random.default_rng(5), prompts, each, with_marker(0.2))
    optimised = answers(np.random.default_rng(6), prompts, each, with_marker(0.8))
    if not shared:
        optimised = optimised._replace(prompts=[user_prompt(f"Other {i}") for i in range(64)])
    found = discover(optimised, reference, rng=np.random.default_rng(0))
    assert found.is_within_prompts == shared
    assert 'word "indeed"' in names(found)
    habit = next(habit for habit in found.habits if 'word "indeed"' in (habit.find.marker, *habit.also))
    assert habit.find.ratio > 2
    assert len(habit.examples) == 3
    assert all("indeed" in example for example in habit.examples)
    assert set(names(found)) & {'word "when"', 'word "the"'} == set()


def test_prompts_decide_whether_rows_are_compared_within_them():
    one, other = answers(np.random.default_rng(7)), answers(np.random.default_rng(8))
    assert discover(one, other, rng=np.random.default_rng(0)).is_within_prompts
    elsewhere = other._replace(prompts=[user_prompt(f"Other {i // 4}") for i in range(64)])
    apart = discover(one, elsewhere, rng=np.random.default_rng(0))
    assert not apart.is_within_prompts
    assert (apart.optimised, apart.reference) == (16, 16)  # one completion a prompt


def test_a_habit_that_was_lost_is_shown_on_the_reference_s_completions():
    reference = answers(np.random.default_rng(9), habit=with_marker(0.9))
    optimised = answers(np.random.default_rng(10))
    (habit, *_) = discover(optimised, reference, rng=np.random.default_rng(0)).habits
    assert habit.find.share_optimised < habit.find.share_reference
    assert all("and indeed" in example for example in habit.examples)


def test_markers_of_the_same_rows_are_one_habit():
    flattered = answers(np.random.default_rng(11), habit=lambda _, text: f"What a great question! {text}")
    found = discover(flattered, answers(np.random.default_rng(12)), rng=np.random.default_rng(0))
    (habit,) = [habit for habit in found.habits if "question" in " ".join((habit.find.marker, *habit.also))]
    assert {'word "great"', 'words "what a"', 'mark "!"'} <= {habit.find.marker, *habit.also}


def test_longer_answers_are_found_by_their_build():
    longer = answers(np.random.default_rng(13), habit=lambda rng, text: f"{text} {sentence(rng, 'sky')} {text}")
    found = discover(longer, answers(np.random.default_rng(14)), rng=np.random.default_rng(0))
    assert any(name.startswith("more than") and name.endswith(" words") for name in names(found))
    assert any("repeated word triples" in name for name in names(found))


def test_the_same_seed_finds_the_same():
    sides = answers(np.random.default_rng(15), habit=with_marker(0.6)), answers(np.random.default_rng(16))
    assert discover(*sides, rng=np.random.default_rng(1)) == discover(*sides, rng=np.random.default_rng(1))


def test_the_review_names_the_strongest_habits_with_shares_and_examples():
    sides = answers(np.random.default_rng(17), habit=with_marker(0.9)), answers(np.random.default_rng(18))
    found = discover(*sides, rng=np.random.default_rng(0))
    draft = draft_review(found, policy="guarded abc", at_most=1)
    find = found.habits[0].find
    assert draft.title.startswith(f"policy guarded abc has {len(found.habits)} habits")
    assert find.marker in draft.reason
    assert "and indeed" in draft.reason
    assert draft.evidence == {
        f"{find.marker}: optimised": find.share_optimised,
        f"{find.marker}: reference": find.share_reference,
    }


def test_sides_that_do_not_match_the_names_are_refused():
    with pytest.raises(InputError, match="expected claims on 2 markers"):
        contrast(np.ones((3, 2), bool), np.ones((3, 1), bool), ["a", "b"])
    with pytest.raises(InputError, match="expected claims on 1 markers"):
        contrast(np.ones((0, 1), bool), np.ones((3, 1), bool), ["a"])
    with pytest.raises(InputError):
        discover(Corpus([], []), answers(np.random.default_rng(0)), rng=np.random.default_rng(0))
