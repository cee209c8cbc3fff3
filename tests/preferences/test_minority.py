"""Minority: a planted group is found and both views stay with its pairs; small groups are not named."""

import numpy as np
import pytest
from judgement_panels import NOW, judge

from assay.preferences import aggregate_split, minority_views, tabulate
from assay.preferences.minority import ALL_PAIRS, named_groups
from assay.records.errors import ConfigError
from assay.records.preference import AggregationReport, Preference
from assay.storage import SplitName

PEOPLE = [f"p{number:02d}" for number in range(60)]
SIDES = ("left", "right")


def panel(*, differs, prompts=6, seed=0):
    """Sixty people judge everything; the last fifteen (south) mostly choose otherwise where `differs`."""
    rng = np.random.default_rng(seed)
    judgements = []
    for number in range(prompts):
        for at, name in enumerate(PEOPLE):
            chance = 0.25 if differs and at >= 45 else 0.75
            choice = "first" if rng.random() < chance else "second"
            side = SIDES[int(rng.random() < 0.5)]
            judgements.append(judge(f"q{number}", choice=choice, annotator=name, first_shown=side))
    return judgements


TRAITS = {name: {"region": "north" if at < 45 else "south", "age": "old"} for at, name in enumerate(PEOPLE)}


def test_a_planted_group_is_found_with_its_gap_and_pairs():
    table = tabulate(panel(differs=True))
    report, views = minority_views(table, TRAITS, rng=np.random.default_rng(0))
    south = next(one for one in report.differences if one.group == "region: south")
    assert (south.members, south.topic, south.pairs) == (15, ALL_PAIRS, 6)
    assert 0.35 < south.gap < 0.65
    assert south.p_value < 0.001
    assert len(south.significant_pairs) >= 4
    for number in range(6):
        sign = 1 if table.pairs[number].a == "one" else -1
        assert sign * (views[number]["everyone"] - views[number]["region: south"]) > 0.1


def test_a_homogeneous_panel_has_no_minority():
    report, views = minority_views(tabulate(panel(differs=False, seed=1)), TRAITS, rng=np.random.default_rng(0))
    assert report.differences == ()
    assert views == {}
    assert report.tests == 2


def test_the_view_of_a_group_is_pulled_to_the_whole_by_four_members():
    # Ten people: six say a; the two of the group say b. everyone 0.6; of the group (0 + 4 * 0.6) / (2 + 4) = 0.4.
    choices = ["second"] * 2 + ["first"] * 6 + ["second"] * 2
    judgements = [
        judge(f"q{n}", "a", "b", choice, annotator=f"p{at}") for n in range(12) for at, choice in enumerate(choices)
    ]
    traits = {f"p{at}": {"kind": "x" if at < 2 else "y"} for at in range(10)}
    found = minority_views(
        tabulate(judgements), traits, rng=np.random.default_rng(0), smallest_group=2, false_discovery_rate=0.5
    )
    assert found.views[0]["everyone"] == pytest.approx(0.6)
    assert found.views[0]["kind: x"] == pytest.approx(0.4)


def test_groups_and_intersections_below_k_are_counted_and_not_named():
    traits = {
        name: {"region": "n" if at < 8 else "s", "age": "old" if at % 2 else "young"}
        for at, name in enumerate("abcdefghijkl")
    }
    groups, suppressed = named_groups("abcdefghijkl", traits, smallest_group=5)
    # north 8, old 6, young 6 stay; south 4 and the four intersections (4, 4, 2, 2) do not.
    assert sorted(groups) == ["age: old", "age: young", "region: n"]
    assert suppressed == 5
    larger, _ = named_groups("abcdefghijkl", traits, smallest_group=4)
    assert "age: old & region: n" in larger


def test_a_group_of_one_is_refused():
    with pytest.raises(ConfigError, match="a group of one is a person"):
        minority_views(tabulate([judge()]), {}, rng=np.random.default_rng(0), smallest_group=1)


def test_both_views_go_into_the_stored_preferences_and_the_report(workspace):
    records = workspace.records
    records.put_all([(judgement, "train", None) for judgement in panel(differs=True)])
    result = aggregate_split(records, SplitName.TRAIN, now=NOW, traits=TRAITS)
    stored = records.latest(AggregationReport)
    assert stored.minority.differences
    assert {p.aggregation for p in result.preferences} == {stored.id}
    for preference in records.all(Preference, split="train"):
        assert preference.chosen == "one"
        assert preference.by_group["region: south"] < preference.by_group["everyone"]
    again = aggregate_split(records, SplitName.TRAIN, now=NOW, traits=TRAITS)
    assert again.report.id == stored.id


def test_without_traits_identities_are_those_of_a_report_that_knows_no_groups(workspace):
    workspace.records.put_all([(judgement, "train", None) for judgement in panel(differs=True, prompts=1)])
    report, (preference,) = aggregate_split(workspace.records, SplitName.TRAIN, now=NOW)
    assert report.minority is None
    assert preference.by_group is None
