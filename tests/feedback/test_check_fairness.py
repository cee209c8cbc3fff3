"""Check fairness: groups counted by hand, a biased check named and a fair one not, small groups left alone."""

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.stats import fisher_exact

from assay.feedback.campaign import Gold
from assay.feedback.check_fairness import LEVEL, check_failures
from assay.feedback.panels import Panel
from assay.records.conversation import user_prompt
from assay.records.judgement import Item, Judgement

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PANEL = Panel(campaign="k", traits={"age": ("young", "old")}, created_at=NOW)


def item(number):
    return Item(campaign="k", prompt=user_prompt(f"p{number}"), first="a", second="b", created_at=NOW)


def gold(checks):
    return [Gold(campaign="k", item=item(n).id, choice="first", created_at=NOW) for n in range(checks)]


def said(name, number, is_right, **fields):
    return Judgement(
        campaign="k",
        annotator=name,
        prompt=user_prompt(f"p{number}"),
        first="a",
        second="b",
        choice="first" if is_right else "second",
        first_shown="left",
        created_at=NOW,
        **({"purpose": "gold"} | fields),
    )


def people(count, group):
    return {f"{group}-{n}": {"age": group} for n in range(count)}


def test_failures_are_counted_by_group_beside_everybody_elses():
    told = people(6, "young") | people(5, "old") | {"shy": {}}
    answers = [said(name, 0, is_right=not name.startswith("young") or name > "young-2") for name in told]
    answers.append(said("young-0", 7, is_right=False, purpose=None))
    rows = {(row.group, row.check): row for row in check_failures(answers, gold(1), PANEL, told)}
    here = item(0).id
    assert set(rows) == {("age: young", None), ("age: young", here), ("age: old", None), ("age: old", here)}
    found = rows["age: young", here]
    assert (found.failed, found.others) == ((3, 6), (0, 5))
    assert found.p == pytest.approx(fisher_exact(np.array([[3, 3], [0, 5]])).pvalue)
    assert not found.stands_out


def test_a_check_that_only_one_group_fails_is_named_and_fair_ones_are_not():
    told = people(20, "young") | people(20, "old")

    def is_right(name, check):
        number = int(name.rpartition("-")[2])
        return number >= 14 if check == 2 and name.startswith("old") else number % 10 != check

    answers = [said(name, check, is_right=is_right(name, check)) for name in told for check in range(4)]
    rows = check_failures(answers, gold(4), PANEL, told)
    assert {row.check for row in rows if row.stands_out and row.check is not None} == {item(2).id}
    assert rows[0].stands_out
    assert rows[0].p == min(row.p for row in rows)


def test_where_all_fail_alike_a_group_is_seldom_named():
    told, named = people(15, "young") | people(15, "old"), 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        answers = [said(name, check, is_right=rng.random() > 0.3) for name in told for check in range(3)]
        named += any(row.stands_out for row in check_failures(answers, gold(3), PANEL, told))
    # Both groups of a trait are one comparison seen twice, and Fisher's test is conservative.
    assert named <= 2 * LEVEL * 100


def test_small_groups_and_small_rests_are_not_looked_at():
    told = people(4, "young") | people(20, "old")
    answers = [said(name, 0, is_right=False) for name in told]
    assert check_failures(answers, gold(1), PANEL, told) == []
    assert check_failures([], [], PANEL, {}) == []


def test_checks_that_nobody_fails_stand_out_for_nobody():
    told = people(6, "young") | people(6, "old")
    rows = check_failures([said(name, 0, is_right=True) for name in told], gold(1), PANEL, told)
    assert [row.p for row in rows] == [1.0] * 4
