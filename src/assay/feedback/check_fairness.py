"""Check fairness: whether checking items turn away a group, not careless people. Takes answers to checks, and traits.

A check that asks what only some people can know lowers the numbers of all others alike, and whoever then leaves them
out has lost a group without a word. Failures are counted by group beside everybody else's. Over all checks people are
compared by the share that each failed (Mann and Whitney), check by check by who failed it (Fisher), and those that
stand out among all that were looked at (Benjamini and Hochberg 1995) are named. Groups under the panel's `smallest`, or
that leave so few others, are not looked at.

Catches: checks that one group fails more often than the others. Does not catch: checks that nobody of a group was
given, groups that nobody was asked about, and a check that is unfair to all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import false_discovery_control, fisher_exact, mannwhitneyu

from assay.feedback.answering import current_judgements
from assay.feedback.campaign import Gold
from assay.feedback.panels import Panel, Told
from assay.feedback.quality import item_id
from assay.feedback.shares import Share, share_of
from assay.records.judgement import Judgement

LEVEL = 0.05
"""Share of false discoveries among the differences that are named."""


class GroupFailures(NamedTuple):
    """How often a group failed, and everybody else who told the trait; `check` None: over all checks.

    `p` is the chance of as large a difference by luck, `stands_out` whether it is named among all that were tested.
    """

    group: str
    check: str | None
    failed: Share
    others: Share
    p: float
    stands_out: bool = False


class _Failure(NamedTuple):
    person: str
    check: str
    failed: bool


def check_failures(
    judgements: Iterable[Judgement], gold: Iterable[Gold], panel: Panel, told: Mapping[str, Told]
) -> list[GroupFailures]:
    """A row for each group over all checks, and for each group and check; those that stand out first."""
    right = {one.item: one.choice for one in gold}
    answers = [
        _Failure(one.annotator, check, one.choice != right[check])
        for one in current_judgements(judgements)
        if one.purpose == "gold" and (check := item_id(one)) in right
    ]
    rows = [
        row
        for trait, values in panel.traits.items()
        for value in values
        for check in (None, *sorted({one.check for one in answers}))
        if (row := _row(trait, value, check, answers, panel, told)) is not None
    ]
    adjusted = false_discovery_control([row.p for row in rows]) if rows else np.zeros(0)
    found = [row._replace(stands_out=bool(p <= LEVEL)) for row, p in zip(rows, adjusted, strict=True)]
    return sorted(found, key=lambda row: (not row.stands_out, row.p))


def _row(
    trait: str, value: str, check: str | None, answers: Sequence[_Failure], panel: Panel, told: Mapping[str, Told]
) -> GroupFailures | None:
    asked = [one for one in answers if check in (None, one.check) and trait in told.get(one.person, {})]
    sides = [[one for one in asked if (told[one.person][trait] == value) is is_theirs] for is_theirs in (True, False)]
    if any(len({one.person for one in side}) < max(1, panel.smallest) for side in sides):
        return None
    theirs, others = (share_of([one.failed for one in side]) for side in sides)
    p = _by_people(*sides) if check is None else _by_answers(theirs, others)
    return GroupFailures(f"{trait}: {value}", check, theirs, others, p)


def _by_answers(theirs: Share, others: Share) -> float:
    return float(fisher_exact(np.array([[one.hits, one.n - one.hits] for one in (theirs, others)])).pvalue)


def _by_people(theirs: Sequence[_Failure], others: Sequence[_Failure]) -> float:
    one, two = (_failed_share(side) for side in (theirs, others))
    if np.ptp(np.concatenate([one, two])) == 0:
        return 1.0
    return float(mannwhitneyu(one, two).pvalue)


def _failed_share(answers: Sequence[_Failure]) -> np.ndarray:
    """The share [people] of their checks that each person failed."""
    said: dict[str, list[bool]] = {}
    for one in answers:
        said.setdefault(one.person, []).append(one.failed)
    return np.array([sum(found) / len(found) for found in said.values()], dtype=np.float64)
