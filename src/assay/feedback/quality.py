"""Quality: what answers say of each annotator. Takes judgements and gold answers, yields a row a person.

Catches: wrong answers on checking items, answers that change when the sides are exchanged, a pull to one side, haste,
and the `habits` of finding more fault than others and of changing within a sitting. Does not catch: people who agree
with each other and are wrong, or who work carefully on checks that they recognise. A low number is a reason to ask, not
a verdict: with few answers the intervals are wide, and they are shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from assay.feedback.answering import current_judgements
from assay.feedback.campaign import Gold
from assay.feedback.habits import Drift, drift, finds_fault, severity
from assay.feedback.shares import Gap, Share, share_of
from assay.records.judgement import Choice, Item, Judgement

HASTY = 0.25
"""An answer in less than this share of the panel's median time a word is hasty."""


class AnnotatorQuality(NamedTuple):
    """One person in one campaign."""

    annotator: str
    judged: int
    gold: Share
    """Right answers on checking items."""
    repeats: Share
    """Repeats that got the first answer again, sides exchanged."""
    left: Share
    """Decided answers for the left side; without a side bias half."""
    agreement: Share
    """Answers that equal another person's on the same pair."""
    hasty: Share
    seconds: float | None
    """Median active seconds an item."""
    severity: Gap
    """How much more often fault is found than others find it in the same pairs."""
    drift: Drift
    """First and second halves of sittings."""


def annotator_quality(judgements: Iterable[Judgement], gold: Iterable[Gold]) -> list[AnnotatorQuality]:
    """A row for each person of a campaign, by name; of its judgements those that stand are read."""
    standing = current_judgements(judgements)
    right = {one.item: one.choice for one in gold}
    paces = {one.id: pace for one in standing if (pace := _pace(one)) is not None}
    usual = median(paces.values()) if paces else None
    said: dict[str, list[Judgement]] = {}
    for one in standing:
        if one.purpose is None:
            said.setdefault(_pair(one), []).append(one)
    people = sorted({one.annotator for one in standing})
    return [
        _row(name, [one for one in standing if one.annotator == name], right=right, said=said, paces=paces, usual=usual)
        for name in people
    ]


def item_id(judgement: Judgement) -> str:
    """Identity of the two-completion item that a judgement speaks of; an item's identity is its content, and marks."""
    if judgement.item is not None:
        return judgement.item
    fields = judgement.model_dump(include={"campaign", "prompt", "first", "second", "created_at"})
    return Item.model_validate(fields).id


def _row(
    name: str,
    mine: Sequence[Judgement],
    *,
    right: Mapping[str, Choice],
    said: Mapping[str, list[Judgement]],
    paces: Mapping[str, float],
    usual: float | None,
) -> AnnotatorQuality:
    plain = [one for one in mine if one.purpose is None]
    checks = [one.choice == right[item_id(one)] for one in mine if one.purpose == "gold" and item_id(one) in right]
    first_said = {_pair(one): one.choice for one in plain}
    repeats = [
        one.choice == first_said[_pair(one)] for one in mine if one.purpose == "repeat" and _pair(one) in first_said
    ]
    decided = [_is_left(one) for one in mine if one.choice in ("first", "second") and one.ranking is None]
    others = {one.id: [other for other in said[_pair(one)] if other.annotator != name] for one in plain}
    agrees = {one.id: [other.choice == one.choice for other in others[one.id]] for one in plain}
    faults = {identity: [finds_fault(other) for other in found] for identity, found in others.items()}
    timed = [paces[one.id] < HASTY * usual for one in mine if one.id in paces] if usual is not None else []
    seconds = [one.time_on_task_s for one in mine if one.time_on_task_s is not None]
    return AnnotatorQuality(
        annotator=name,
        judged=len(plain),
        gold=share_of(checks),
        repeats=share_of(repeats),
        left=share_of(decided),
        agreement=share_of([same for found in agrees.values() for same in found]),
        hasty=share_of(timed),
        seconds=median(seconds) if seconds else None,
        severity=severity(plain, faults),
        drift=drift(plain, agrees, paces),
    )


def _is_left(one: Judgement) -> bool:
    return (one.choice == "first") == (one.first_shown == "left")


def _pair(one: Judgement) -> str:
    return f"{one.prompt_id}\x00{one.first}\x00{one.second}"


def _pace(one: Judgement) -> float | None:
    if one.time_on_task_s is None or one.ranking is not None:
        return None
    words = sum(len(text.split()) for text in (*(m.content for m in one.prompt), one.first, one.second))
    return one.time_on_task_s / max(1, words)
