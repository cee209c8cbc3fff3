"""Incremental refit: a joint fit that starts from the last one when labels arrive, instead of from nothing.

Takes a fitted table and all judgements of now; yields a fitted table. Completions and annotators are found again by
their text and name; new ones start neutral. The mode is the same to the tolerance of the fit, since the start says
where to look and not what to find.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from assay.preferences.cells import cells_of
from assay.preferences.joint_fit import JointFit, Parameters, fit_jointly, neutral
from assay.preferences.table import JudgementTable, tabulate
from assay.records.judgement import Judgement


class FittedTable(NamedTuple):
    """Judgements as a table, with what was fitted to them."""

    table: JudgementTable
    fit: JointFit


def refit(judgements: Sequence[Judgement], *, last: FittedTable | None = None) -> FittedTable:
    """Fit all judgements, from `last` where there is one. Raises InputError as a first fit does."""
    table = tabulate(judgements)
    cells = cells_of(table)
    if last is None:
        return FittedTable(table, fit_jointly(cells))
    before, blank = last.fit.parameters, neutral(cells)
    start = Parameters(
        scores=_carried(_completions(last.table), before.scores, _completions(table), blank.scores),
        reliability=_carried(last.table.annotators, before.reliability, table.annotators, blank.reliability),
        side_bias=_carried(last.table.annotators, before.side_bias, table.annotators, blank.side_bias),
        log_tie=before.log_tie,
        coefficients=blank.coefficients,
    )
    return FittedTable(table, fit_jointly(cells, start=start))


def _completions(table: JudgementTable) -> list[object]:
    """What each item of a table is, by its number."""
    found: list[object] = [None] * table.items
    _, first_row = np.unique(table.pair, return_index=True)
    for pair, row in zip(table.pairs, first_row, strict=True):
        found[table.item_a[row]], found[table.item_b[row]] = (pair.prompt, pair.a), (pair.prompt, pair.b)
    return found


def _carried(
    old_names: Sequence[object], old: np.ndarray, new_names: Sequence[object], blank: np.ndarray
) -> np.ndarray:
    """The old values under the new numbering, and the blank ones where a name is new."""
    values = dict(zip(old_names, old, strict=True))
    return np.array([values.get(name, other) for name, other in zip(new_names, blank, strict=True)])
