"""Traits: what annotators said of themselves, for views by group; a CSV file is read here.

Takes a file whose first column is `annotator` and whose others are traits, a row a person; yields values by trait, by
annotator. An empty cell is a trait that the person did not tell. Traits are read when they are needed and never stored
with judgements. Those that people told on the site, with their consent, come as `Declared`.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from assay.preferences.minority import Traits
from assay.preferences.withholding import shown
from assay.records.errors import InputError, explain


class Declared(NamedTuple):
    """What people told on the site and agreed to have used: values and the record they stand in, by annotator.

    No fewer than `smallest_group` people are shown, in no group and by no subtraction (`withholding`).
    """

    values: Traits
    declarations: Mapping[str, str]
    smallest_group: int


class ShownValues(NamedTuple):
    """One trait's value by annotator, of groups that may be shown, and how many values are withheld."""

    value_of: dict[str, str]
    withheld: int


def read_traits(path: Path) -> Traits:
    """Read a traits file. Raises InputError, with every fault, for one that is not there or not as described."""
    do = "give a CSV file with the columns annotator, then one a trait"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(explain(expected="a traits file", got=str(error), do=do)) from error
    if not rows or len(rows[0]) < 2 or rows[0][0].strip() != "annotator":
        got = "an empty file" if not rows else f"the columns {', '.join(rows[0])}"
        raise InputError(explain(expected="a traits file", got=got, do=do))
    names = [name.strip() for name in rows[0][1:]]
    traits: dict[str, dict[str, str]] = {}
    faults = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        annotator, values = row[0].strip(), [cell.strip() for cell in row[1:]]
        if len(values) != len(names) or not annotator:
            faults.append(f"row {number}: {len(row)} cells, {len(names) + 1} expected, the first not empty")
        elif annotator in traits:
            faults.append(f"row {number}: {annotator!r} a second time")
        else:
            traits[annotator] = {name: value for name, value in zip(names, values, strict=True) if value}
    if faults:
        raise InputError(explain(expected="one row a person", got=f"{len(faults)} faulty rows", do=do), faults)
    return traits


def value_of_trait(traits: Traits, trait: str) -> dict[str, str]:
    """One trait's value by annotator, for those who told it. Raises InputError for a trait that nobody told."""
    found = {annotator: values[trait] for annotator, values in traits.items() if trait in values}
    if not found:
        known = sorted({name for values in traits.values() for name in values})
        do = "name one of these"
        raise InputError(explain(expected=f"one of {', '.join(known) or 'no traits'}", got=repr(trait), do=do))
    return found


def shown_values(declared: Declared, trait: str, annotators: Sequence[str]) -> ShownValues:
    """The values of a trait that may be shown of these annotators. Raises InputError for a trait that nobody told."""
    value_of = value_of_trait(declared.values, trait)
    told = {name: value_of[name] for name in annotators if name in value_of}
    groups = {frozenset([(trait, value)]): {n for n in told if told[n] == value} for value in set(told.values())}
    may = shown(groups, len(annotators), smallest=declared.smallest_group)
    kept = {name: value for name, value in told.items() if frozenset([(trait, value)]) in may}
    return ShownValues(kept, len(groups) - len(may))
