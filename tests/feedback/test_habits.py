"""Habits: fault found beside others, and sittings halved, by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from assay.feedback.fatigue import PAUSE
from assay.feedback.habits import SITTING, drift, finds_fault, severity, sittings
from assay.records.conversation import user_prompt
from assay.records.judgement import Critique, Judgement

START = datetime(2026, 1, 1, tzinfo=UTC)


def _said(number, choice="first", at=None, **fields):
    return Judgement(
        campaign="k",
        annotator="ada",
        prompt=user_prompt(f"p{number}"),
        first="a",
        second="b",
        choice=choice,
        first_shown="left",
        created_at=at or START + timedelta(minutes=number),
        **fields,
    )


def test_fault_is_found_by_both_bad_or_by_a_mark():
    marked = _said(1, critiques=(Critique(completion="first", text="a"),))
    assert [finds_fault(one) for one in (_said(1, "both_bad"), marked, _said(1), _said(1, "tie"))] == [
        True,
        True,
        False,
        False,
    ]


def test_severity_is_the_mean_difference_from_others_and_leaves_out_who_stands_alone():
    mine = [_said(1, "both_bad"), _said(2), _said(3, "both_bad")]
    found = severity(mine, {mine[0].id: [True, False], mine[1].id: [True], mine[2].id: []})
    assert (found.mean, found.n) == (pytest.approx((0.5 - 1.0) / 2), 2)


def test_a_sitting_ends_with_a_pause():
    late = START + timedelta(minutes=1) + PAUSE
    parts = sittings([_said(9, at=late), _said(0), _said(1)])
    assert [[one.prompt[-1].content for one in part] for part in parts] == [["p0", "p1"], ["p9"]]
    just_before = late - timedelta(seconds=1)
    assert len(sittings([_said(9, at=just_before), _said(0), _said(1)])) == 1


def test_drift_compares_second_halves_with_first_ones_of_long_sittings_alone():
    long = [_said(n) for n in range(SITTING)]
    short = [_said(100 + n) for n in range(SITTING - 1)]
    half = SITTING // 2
    agrees = {one.id: [number < half] for number, one in enumerate(long)} | {one.id: [False] for one in short}
    paces = {one.id: 2.0 if number < half else 0.5 for number, one in enumerate(long)} | {one.id: 9.0 for one in short}
    assert drift(long + short, agrees, paces) == ((half, half), (0, half), 0.25)
    assert drift(short, agrees, paces) == ((0, 0), (0, 0), None)
    assert drift(long, {}, {}) == ((0, 0), (0, 0), None)
