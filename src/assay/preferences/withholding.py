"""Withholding: which groups may be shown of people who told what they are in confidence. Takes groups, yields fewer.

A group is shown where it has enough people and leaves enough others. Where a trait's values that are shown leave a few
people of the whole, or of another group that is shown, the smallest of them is withheld too, or a subtraction would
tell of those few.

Catches: small groups, groups of nearly everybody, and what whole less groups leaves, for each trait and within each
group of one trait. Does not catch: sums over several traits at once, two reports between which one person came or went,
and groups that are all of one mind on a pair.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from typing import TypeVar

P = TypeVar("P", int, str)
"""A person, by number or name."""

Described = frozenset[tuple[str, str]]
"""A group: its value by trait; two traits are an intersection."""


def described(group: Described) -> str:
    """The group in words: `trait: value`, two joined by ` & `."""
    return " & ".join(sorted(f"{trait}: {value}" for trait, value in group))


def shown(groups: Mapping[Described, Set[P]], everyone: int, *, smallest: int) -> set[Described]:
    """The groups that may be shown, of those among `everyone` (so many people)."""
    kept = {one for one, people in groups.items() if smallest <= len(people) <= everyone - smallest}
    while excess := _telling(groups, kept, everyone, smallest=smallest):
        kept.discard(excess)
    return kept


def _telling(
    groups: Mapping[Described, Set[P]], kept: Set[Described], everyone: int, *, smallest: int
) -> Described | None:
    """The smallest group of the first family that leaves a few people of what it divides; None where there is none."""
    for parent, children in _families(kept):
        whole = len(groups[parent]) if parent else everyone
        left = whole - len(set[P]().union(*(groups[child] for child in children)))
        if 0 < left < smallest:
            return min(children, key=lambda child: (len(groups[child]), described(child)))
    return None


def _families(kept: Set[Described]) -> Iterator[tuple[Described, list[Described]]]:
    """Groups, or nothing for everybody, each with those that one more trait divides them into."""
    families: dict[tuple[Described, str], list[Described]] = defaultdict(list)
    for group in sorted(kept, key=described):
        for trait, value in sorted(group):
            parent = group - {(trait, value)}
            if not parent or parent in kept:
                families[parent, trait].append(group)
    for (parent, _), children in families.items():
        yield parent, children
