"""Withholding: nothing shown of groups tells of fewer people than the smallest group, not by subtraction either."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgement_panels import NOW, judge

from assay.preferences import aggregate_split, minority_views, tabulate
from assay.preferences.minority import named_groups
from assay.preferences.traits import Declared, shown_values
from assay.preferences.withholding import described, shown
from assay.records.errors import InputError
from assay.storage import SplitName


def group(**values):
    return frozenset(values.items())


def names(groups):
    return sorted(described(one) for one in groups)


def test_a_group_of_nearly_everybody_is_withheld_for_it_tells_of_the_others():
    # 20 people, 18 north: 20 less 18 are two people.
    assert shown({group(region="north"): set(range(18))}, 20, smallest=3) == set()
    assert names(shown({group(region="north"): set(range(17))}, 20, smallest=3)) == ["region: north"]


def test_values_that_leave_a_few_of_everybody_are_withheld_until_what_is_left_is_enough():
    # 20 people: 9 north, 9 south, 2 east. North and south together would tell of the two.
    groups = {
        group(region="north"): set(range(9)),
        group(region="south"): set(range(9, 18)),
        group(region="east"): {18, 19},
    }
    assert names(shown(groups, 20, smallest=3)) == ["region: south"]
    # With ten more people who told nothing, what is left is twelve people.
    assert names(shown(groups, 30, smallest=3)) == ["region: north", "region: south"]


def test_a_group_inside_another_is_withheld_where_few_are_left():
    # Of ten in the north eight are old: the north less its old are two people.
    groups = {
        group(region="north"): set(range(10)),
        group(age="old"): set(range(8)) | {11, 12, 13, 14},
        group(region="north", age="old"): set(range(8)),
    }
    assert names(shown(groups, 30, smallest=3)) == ["age: old", "region: north"]
    assert len(shown(groups, 30, smallest=2)) == 3


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=30),
    st.integers(0, 6),
    st.integers(2, 5),
)
def test_no_difference_within_a_trait_tells_of_a_few(people, silent, smallest):
    traits = {str(number): {"one": one, "two": two} for number, (one, two) in enumerate(people)}
    annotators = [*traits, *(f"silent {number}" for number in range(silent))]
    groups, _ = named_groups(annotators, traits, smallest_group=smallest, withholds=True)
    sets = {name: set(members.tolist()) for name, members in groups.items()}
    everyone = set(range(len(annotators)))
    for trait in ("one", "two"):
        for parent, whole in [("", everyone), *sets.items()]:
            inside = [
                part for name, part in sets.items() if f"{trait}: " in name and part < whole and _adds(name, parent)
            ]
            for count in range(1, len(inside) + 1):
                for some in combinations(inside, count):
                    left = whole - set().union(*some)
                    assert not left or len(left) >= smallest


def _adds(name, parent):
    """Whether a group has one trait more than another."""
    parts, fewer = set(name.split(" & ")), set(parent.split(" & ")) - {""}
    return fewer < parts and len(parts) == len(fewer) + 1


def panel(*, south=8, people=16, prompts=6):
    """Everybody judges everything; the last of them, the south, see all of it the other way round."""
    names_ = [f"p{number:02d}" for number in range(people)]
    judgements = [
        judge(f"q{n}", choice="second" if at >= people - south else "first", annotator=name)
        for n in range(prompts)
        for at, name in enumerate(names_)
    ]
    return judgements, {
        name: {"region": "south" if at >= people - south else "north"} for at, name in enumerate(names_)
    }


def test_a_view_of_a_pair_is_kept_only_where_enough_of_the_group_and_of_others_judged_it():
    judgements, traits = panel()
    few = [
        one for one in judgements if one.prompt[-1].content != "q0" or one.annotator not in ("p15", "p14", "p13", "p12")
    ]
    found = minority_views(tabulate(few), traits, rng=np.random.default_rng(0), smallest_group=5, withholds=True)
    by_prompt = {tabulate(few).pairs[number].prompt[-1].content: view for number, view in found.views.items()}
    assert sorted(by_prompt) == ["q1", "q2", "q3", "q4", "q5"]  # on q0 four of the south are left
    assert {one.group for one in found.report.differences} == {"region: north", "region: south"}
    assert all(len(one.significant_pairs) == 5 for one in found.report.differences)
    open_ = minority_views(tabulate(few), traits, rng=np.random.default_rng(0), smallest_group=5)
    assert len(open_.views) == 6


def test_on_a_topic_that_few_of_a_group_judged_it_is_not_compared():
    judgements, traits = panel()
    said = [one for one in judgements if one.prompt[-1].content != "q0" or one.annotator < "p11"]  # three of the south
    table = tabulate(said)
    topics = ["alone" if pair.prompt[-1].content == "q0" else "rest" for pair in table.pairs]
    settings = {"topics": topics, "smallest_group": 5}
    found = minority_views(table, traits, rng=np.random.default_rng(0), withholds=True, **settings)
    assert {one.topic for one in found.report.differences} == {"rest"}
    without = minority_views(table, traits, rng=np.random.default_rng(0), **settings)
    assert {one.topic for one in without.report.differences} == {"alone", "rest"}


def test_a_fit_on_declared_traits_names_the_records_of_those_who_judged_and_no_others(workspace):
    judgements, traits = panel()
    workspace.records.put_all([(one, "train", one.annotator) for one in judgements])
    told = Declared({**traits, "zoe": {"region": "north"}}, {name: f"of {name}" for name in [*traits, "zoe"]}, 5)
    report, preferences = aggregate_split(workspace.records, SplitName.TRAIN, now=NOW, traits=told)
    assert report.minority.declarations == tuple(f"of {name}" for name in sorted(traits))
    assert report.minority.smallest_group == 5
    assert all(one.by_group["region: south"] < 0.5 < one.by_group["region: north"] for one in preferences) or all(
        one.by_group["region: north"] < 0.5 < one.by_group["region: south"] for one in preferences
    )
    plain = aggregate_split(workspace.records, SplitName.TRAIN, now=NOW, traits=traits).report
    assert plain.minority.declarations is None


def test_values_of_one_trait_are_shown_where_enough_people_judged():
    _, traits = panel(south=4)
    traits["p00"] = {"region": "east"}
    told = Declared(traits, {}, 4)
    annotators = [*traits, "silent"]
    kept, withheld = shown_values(told, "region", annotators)
    # Eleven north, four south, one east, one silent: two would be left, so the south, the smaller one, goes too.
    assert (set(kept.values()), withheld) == ({"north"}, 2)
    with pytest.raises(InputError, match="one of region"):
        shown_values(told, "age", annotators)
