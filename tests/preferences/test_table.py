"""Table: choices are turned to one order, and what is unusable is left out by name."""

import pytest
from judgement_panels import judge

from assay.preferences import tabulate
from assay.preferences.table import pair_key
from assay.records.errors import InputError


def test_a_pair_judged_in_both_orders_is_one_pair_with_one_meaning():
    table = tabulate(
        [
            judge(first="alpha", second="beta", choice="first", first_shown="left"),
            judge(first="beta", second="alpha", choice="second", first_shown="right", annotator="bob"),
        ]
    )
    assert len(table.pairs) == 1
    assert table.outcome.tolist() == [1, 1]
    assert table.side.tolist() == [1, 1]
    assert (table.pairs[0].a, table.pairs[0].b) == ("alpha", "beta")


def test_pairs_of_one_prompt_share_a_completion_and_those_of_two_prompts_do_not():
    shared = tabulate([judge(first="a", second="b"), judge(first="b", second="c")])
    apart = tabulate([judge("p", "a", "b"), judge("q", "b", "c")])
    assert shared.items == 3
    assert apart.items == 4


def test_superseded_unusable_and_equal_ones_are_dropped_with_a_note():
    old = judge(choice="first")
    table = tabulate(
        [
            old,
            judge(choice="second", supersedes=old.id),
            judge(choice="cannot_judge", annotator="bob"),
            judge(first="same", second="same", annotator="eve"),
            judge(choice="both_bad", annotator="kim"),
        ]
    )
    assert sorted(table.annotators) == ["ada", "kim"]
    assert sorted(table.outcome.tolist()) == [-1, 0]
    assert [note.split(" ")[0] for note in table.notes] == ["1"] * 4
    assert "superseded" in " ".join(table.notes)


def test_a_chain_of_corrections_leaves_the_last_word():
    first = judge(choice="first")
    second = judge(choice="tie", supersedes=first.id)
    third = judge(choice="second", supersedes=second.id)
    table = tabulate([third, first, second])
    assert [judgement.id for judgement in table.judgements] == [third.id]


def test_the_same_judgement_given_twice_counts_once_and_a_repeat_counts_again():
    assert len(tabulate([judge(), judge()]).judgements) == 1
    assert len(tabulate([judge(), judge(occurrence=1)]).judgements) == 2


def test_the_hash_of_the_judgement_set_does_not_depend_on_their_order():
    one, other = judge(), judge(annotator="bob")
    assert tabulate([one, other]).judgement_set == tabulate([other, one]).judgement_set
    assert tabulate([one]).judgement_set != tabulate([one, other]).judgement_set


def test_a_pair_key_ignores_the_order_and_tells_prompts_apart():
    here = tabulate([judge(first="b", second="a")]).pairs[0]
    turned = tabulate([judge(first="a", second="b")]).pairs[0]
    elsewhere = tabulate([judge("other", first="a", second="b")]).pairs[0]
    assert pair_key(here) == pair_key(turned) != pair_key(elsewhere)


@pytest.mark.parametrize(
    ("judgements", "found"),
    [
        ([], "got none"),
        ([judge(choice="cannot_judge")], "none of them usable"),
        ([judge(choice="tie"), judge(choice="both_bad", annotator="bob")], "all ties"),
    ],
)
def test_nothing_to_aggregate_is_said_in_one_sentence(judgements, found):
    with pytest.raises(InputError, match=found) as error:
        tabulate(judgements)
    assert "\n" not in str(error.value)
