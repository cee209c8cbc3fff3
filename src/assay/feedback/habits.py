"""Habits: how much fault a person finds beside others, and how their answers change within a sitting.

Takes one person's standing answers, with what others said of the same pairs. A sitting ends with a pause that is a
break by itself (`fatigue.PAUSE`); only sittings of at least `SITTING` answers are halved.

Catches: somebody who finds fault where others find none, and second halves that are faster or agree less than first
ones. Does not catch: fault that all find too easily, and what changes from day to day.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from assay.feedback.fatigue import PAUSE
from assay.feedback.shares import Gap, Share, gap_of, share_of
from assay.records.judgement import Judgement

SITTING = 20
"""Answers without a pause, from which there is a first half to speak of, and a second."""


class Drift(NamedTuple):
    """Sittings by halves: the share of answers that equal another person's, and the pace of late answers over early."""

    early: Share
    late: Share
    pace: float | None
    """Median seconds a word in second halves over that in first ones; below 1 people hurry. None: no time is known."""


def finds_fault(one: Judgement) -> bool:
    """Whether an answer says that both are bad, or marks a fault in one."""
    return one.choice == "both_bad" or bool(one.critiques)


def severity(mine: Sequence[Judgement], others: Mapping[str, Sequence[bool]]) -> Gap:
    """How much more often this person finds fault than others do in the same pairs: 0.1 is ten answers in a hundred.

    `others` holds by answer whether each other person found fault with its pair; answers that stand alone are left out.
    """
    return gap_of([finds_fault(one) - sum(found) / len(found) for one in mine if (found := others.get(one.id))])


def drift(mine: Sequence[Judgement], agrees: Mapping[str, Sequence[bool]], paces: Mapping[str, float]) -> Drift:
    """The halves of this person's sittings. `agrees` holds by answer whether each other person said the same."""
    halves: tuple[list[Judgement], list[Judgement]] = ([], [])
    for sitting in sittings(mine):
        middle = len(sitting) // 2
        if len(sitting) >= SITTING:
            halves[0].extend(sitting[:middle])
            halves[1].extend(sitting[-middle:])
    shares = [share_of([same for one in half for same in agrees.get(one.id, ())]) for half in halves]
    early, late = ([paces[one.id] for one in half if one.id in paces] for half in halves)
    is_timed = early and late and median(early) > 0
    return Drift(shares[0], shares[1], median(late) / median(early) if is_timed else None)


def sittings(mine: Sequence[Judgement]) -> list[list[Judgement]]:
    """Answers in the order of time, parted at each pause."""
    parts: list[list[Judgement]] = []
    for one in sorted(mine, key=lambda answer: answer.created_at):
        if parts and one.created_at - parts[-1][-1].created_at < PAUSE:
            parts[-1].append(one)
        else:
            parts.append([one])
    return parts
