"""Diversity: who judged a campaign, beside whom it wanted. Takes judgements and what people told, yields a report.

Small groups are withheld, and of each trait with one that is withheld the next smallest too, or a subtraction would
tell. Shares are of the people who told the trait: who did not is nobody's.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log
from typing import NamedTuple

from assay.feedback.panels import Panel, Told
from assay.records.judgement import Judgement


class GroupShare(NamedTuple):
    """One group: its target where there is one, its people and share of the answers; None where it is withheld."""

    name: str
    target: float | None
    people: int | None
    share: float | None


class TraitView(NamedTuple):
    """One trait: its groups, and how even they are in answers: 1 all alike, 0 one group alone. None where withheld."""

    trait: str
    groups: tuple[GroupShare, ...]
    evenness: float | None


class Diversity(NamedTuple):
    """A campaign's panel as it is: `quotas` with their targets, and how many people and answers came of experts."""

    people: int
    answers: int
    traits: tuple[TraitView, ...]
    quotas: tuple[GroupShare, ...]
    experts: int
    expert_answers: int


def diversity(judgements: Sequence[Judgement], panel: Panel, told: Mapping[str, Told]) -> Diversity:
    """The report on standing judgements."""
    answers = Counter(one.annotator for one in judgements)
    experts = set(answers).intersection(panel.experts)
    return Diversity(
        people=len(answers),
        answers=sum(answers.values()),
        traits=tuple(_trait(trait, values, answers, panel, told) for trait, values in panel.traits.items()),
        quotas=tuple(_quota(number, answers, panel, told) for number in range(len(panel.quotas))),
        experts=len(experts),
        expert_answers=sum(answers[one] for one in experts),
    )


def _trait(
    trait: str, values: Sequence[str], answers: Mapping[str, int], panel: Panel, told: Mapping[str, Told]
) -> TraitView:
    members = {value: [one for one in answers if told.get(one, {}).get(trait) == value] for value in values}
    said = {value: sum(answers[one] for one in people) for value, people in members.items()}
    withheld = _withheld({value: len(people) for value, people in members.items()}, smallest=panel.smallest)
    total = sum(said.values())
    groups = [
        GroupShare(value, None, None, None)
        if value in withheld
        else GroupShare(value, None, len(members[value]), said[value] / total if total else 0.0)
        for value in values
    ]
    shares = [count / total for count in said.values() if count]
    evenness = -sum(share * log(share) for share in shares) / log(len(values)) if total and len(values) > 1 else 0.0
    return TraitView(trait, tuple(groups), None if withheld else evenness)


def _quota(number: int, answers: Mapping[str, int], panel: Panel, told: Mapping[str, Told]) -> GroupShare:
    quota = panel.quotas[number]
    known = [one for one in answers if set(quota.where) <= set(told.get(one, {}))]
    fitting = [one for one in known if quota.fits(told[one])]
    if 0 < len(fitting) < panel.smallest or 0 < len(known) - len(fitting) < panel.smallest:
        return GroupShare(quota.name, quota.share, None, None)
    total = sum(answers[one] for one in known)
    share = sum(answers[one] for one in fitting) / total if total else 0.0
    return GroupShare(quota.name, quota.share, len(fitting), share)


def _withheld(people: Mapping[str, int], *, smallest: int) -> set[str]:
    """Groups too small to be shown, and where that is one alone, the next smallest, which would give it away."""
    small = {name for name, count in people.items() if 0 < count < smallest}
    shown = sorted((count, name) for name, count in people.items() if count and name not in small)
    return small | ({shown[0][1]} if len(small) == 1 and shown else set())
