"""Traits: what annotators said of themselves, read from a CSV file, for views by group.

Takes a file whose first column is `annotator` and whose others are traits, a row a person; yields values by trait, by
annotator. An empty cell is a trait that the person did not tell. Traits are read when they are needed and never stored
with judgements.
"""

import csv
from pathlib import Path

from assay.preferences.minority import Traits
from assay.records.errors import InputError, explain


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
        do = "name a column of the traits file"
        raise InputError(explain(expected=f"one of {', '.join(known) or 'no traits'}", got=repr(trait), do=do))
    return found
