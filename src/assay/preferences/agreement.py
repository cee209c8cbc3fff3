"""Agreement: how far annotators say the same of the same pair, beyond chance (Krippendorff's alpha) and as a share.

Takes labels with the unit that each belongs to; yields one number, or None where no unit has two labels.

Catches: a panel that answers at random (alpha near 0) or split into opposites (below 0). Does not catch: annotators who
agree on the same error; alpha is then high and says nothing about being right.
"""

from itertools import combinations

import numpy as np

from assay.preferences.table import Floats, Ints, JudgementTable


def krippendorff_alpha(units: Ints, labels: Ints) -> float | None:
    """Alpha for nominal labels, 1 - observed / expected disagreement, from the coincidences of labels within units.

    Units with one label are left out. None where no unit has two; 1.0 where only one label was ever used.
    Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), section C.
    """
    counts = _shared_counts(units, labels)
    if not len(counts):
        return None
    per_unit = counts.sum(axis=1)
    total = per_unit.sum()
    disagreeing = ((per_unit**2 - (counts**2).sum(axis=1)) / (per_unit - 1)).sum() / total
    per_label = counts.sum(axis=0)
    expected = (total**2 - (per_label**2).sum()) / (total * (total - 1))
    return 1.0 if expected == 0 else float(1 - disagreeing / expected)


def percent_agreement(units: Ints, labels: Ints) -> float | None:
    """Share of equal labels among all pairs of labels of one unit. None where no unit has two labels."""
    counts = _shared_counts(units, labels)
    if not len(counts):
        return None
    per_unit = counts.sum(axis=1)
    return float((counts * (counts - 1)).sum() / (per_unit * (per_unit - 1)).sum())


def table_alpha(table: JudgementTable) -> float | None:
    """Alpha of a judgement table: units are pairs, labels are `a`, tie, `b`; of a person's repeats one counts."""
    rows = one_per_person(table)
    return krippendorff_alpha(table.pair[rows], table.outcome[rows])


def mean_kappa(units: Ints, labels: Ints, people: Ints) -> float | None:
    """Cohen's kappa of two people over the units both labelled, averaged over couples by the units they share.

    A couple that used one label only agrees fully (1). None where no two people share a unit. Expects one label a
    person and unit.
    """
    shared: dict[tuple[int, int], list[tuple[int, int]]] = {}
    order = np.lexsort((people, units))
    _, sizes = np.unique(units, return_counts=True)
    for rows in np.split(order, np.cumsum(sizes)[:-1]):
        for one, other in combinations(rows.tolist(), 2):
            couple = (int(people[one]), int(people[other]))
            shared.setdefault(couple, []).append((int(labels[one]), int(labels[other])))
    if not shared:
        return None
    total = sum(len(said) for said in shared.values())
    return float(sum(_kappa(np.array(said)) * len(said) for said in shared.values()) / total)


def _kappa(said: Ints) -> float:
    agreed = (said[:, 0] == said[:, 1]).mean()
    by_chance = sum((said[:, 0] == label).mean() * (said[:, 1] == label).mean() for label in np.unique(said))
    return 1.0 if by_chance == 1 else float((agreed - by_chance) / (1 - by_chance))


def one_per_person(table: JudgementTable, rows: Ints | None = None) -> Ints:
    """Row numbers (of `rows` or all) with one judgement a pair and annotator, so that nobody agrees with themselves."""
    rows = np.arange(len(table.pair)) if rows is None else rows
    _, first = np.unique(table.pair[rows] * len(table.annotators) + table.annotator[rows], return_index=True)
    return np.asarray(rows[first], dtype=np.int64)


def _shared_counts(units: Ints, labels: Ints) -> Floats:
    """Labels counted by unit (rows) and label (columns), units with at least two labels only."""
    _, unit = np.unique(units, return_inverse=True)
    names, label = np.unique(labels, return_inverse=True)
    flat = (
        np.bincount(unit * len(names) + label, minlength=(unit.max() + 1) * len(names)) if len(units) else np.empty(0)
    )
    counts = flat.reshape(-1, max(1, len(names))).astype(np.float64)
    return np.asarray(counts[counts.sum(axis=1) >= 2])
