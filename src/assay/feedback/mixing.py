"""Mixing: which of the next items differs most from what a person saw last: in topic, length and how upsetting it is.

Takes the looks of items, yields a place among them. Nothing is drawn by chance: the same queue and the same past give
the same item. Two strongly upsetting items follow each other only where every item that could come is one.

Catches: runs of one topic, of long items, of upsetting ones, as far as the next items allow. Does not catch: topics and
levels that nobody told, and checks and repeats, which come on turns of their own.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from assay.records.judgement import HARMS, Item

RECENT = 3
"""How many of a person's last items count; the last one counts `RECENT` times as much as the first of them."""
BANDS = (0, 60, 150, 400, 1000)
"""Where each band of length begins, in words of the prompt and all completions."""
_STRONG = HARMS.index("strong")
_FAR = len(BANDS) - 1
"""What two items differ by at most in each of the three: as many points as there are steps between bands."""


class Look(NamedTuple):
    """An item as mixing sees it; None is not told, and differs from nothing."""

    topic: str | None
    band: int
    level: int | None


def look_of(item: Item) -> Look:
    """The look of an item."""
    words = sum(len(text.split()) for text in (*(message.content for message in item.prompt), *item.completions))
    band = next((number for number, (_, end) in enumerate(pairwise(BANDS)) if words < end), _FAR)
    return Look(item.topic, band, None if item.harm is None else item.level)


def most_different(looks: Sequence[Look], recent: Sequence[Look]) -> int:
    """Place of the look that differs most from the recent ones, the latest of which comes first; of equals, the first.

    Raises ValueError where there are no looks.
    """
    return max(range(len(looks)), key=lambda place: _rank(looks[place], recent))


def difference(one: Look, other: Look) -> int:
    """0 for no difference, and up to four points for each of topic, length and level."""
    topics = _FAR if one.topic and other.topic and one.topic != other.topic else 0
    levels = 0 if one.level is None or other.level is None else abs(one.level - other.level) * _FAR // _STRONG
    return topics + abs(one.band - other.band) + levels


def _rank(look: Look, recent: Sequence[Look]) -> tuple[bool, int]:
    is_second_strong = bool(recent) and look.level == recent[0].level == _STRONG
    weighed = sum((RECENT - age) * difference(look, one) for age, one in enumerate(recent[:RECENT]))
    return not is_second_strong, weighed
