"""Cells: what one annotator said of one pair on one side of the screen, added up, as sparse arrays to fit on.

Takes a judgement table, or plain arrays of any size; yields cells in an order that does not depend on which completion
is called first nor on who won. That is what makes mirrored judgements give mirrored scores to the last bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.preferences.table import Floats, Ints, JudgementTable
from assay.records.errors import InputError, explain


@dataclass(frozen=True)
class Cells:
    """Cells, sorted by pair; arrays `pair`, `annotator`, `side`, `total`, `lean`, `tied` of cell length.

    `side` is 1 where `a` stood on the left, else -1; `total` is the weight of the judgements, `lean` that for `a` minus
    that for `b`, `tied` that of ties. `item_a` and `item_b` have pair length, `nuisance` [pairs, columns] is `a` minus
    `b`.
    """

    pair: Ints
    annotator: Ints
    side: Floats
    total: Floats
    lean: Floats
    tied: Floats
    item_a: Ints
    item_b: Ints
    items: int
    people: int
    nuisance: Floats

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return len(self.item_a)


def cells_of(table: JudgementTable, *, weight: Floats | None = None, nuisance: Floats | None = None) -> Cells:
    """Cells of a table, its pairs and annotators by their numbers there.

    `weight` has one entry a judgement (1 if none), `nuisance` one row a pair, `a` minus `b`.
    """
    _, first_row = np.unique(table.pair, return_index=True)
    return _added_up(
        (table.pair, table.annotator, table.outcome, table.side),
        weight,
        items=(table.item_a[first_row], table.item_b[first_row]),
        counts=(table.items, len(table.annotators)),
        nuisance=np.zeros((len(first_row), 0)) if nuisance is None else nuisance,
    )


def cells_from(
    annotator: ArrayLike,
    item_a: ArrayLike,
    item_b: ArrayLike,
    outcome: ArrayLike,
    side: ArrayLike,
    *,
    weight: Floats | None = None,
    items: int | None = None,
    people: int | None = None,
) -> Cells:
    """Cells from arrays with one entry a judgement, coded as in `JudgementTable`; pairs come out with `a` below `b`.

    Raises InputError, with every fault, for arrays of unequal length, numbers below 0, outcomes or sides that are no
    such thing, and completions compared with themselves.
    """
    who, a, b, said, shown = (np.asarray(array, dtype=np.int64) for array in (annotator, item_a, item_b, outcome, side))
    _refuse_faulty(who, a, b, said, shown)
    items = int(max(a.max(), b.max())) + 1 if items is None else items
    people = int(who.max()) + 1 if people is None else people
    turned = np.where(a < b, 1, -1)
    keys, pair = np.unique(np.minimum(a, b) * items + np.maximum(a, b), return_inverse=True)
    return _added_up(
        (pair, who, said * turned, shown * turned),
        weight,
        items=(keys // items, keys % items),
        counts=(items, people),
        nuisance=np.zeros((len(keys), 0)),
    )


def _added_up(
    rows: tuple[Ints, Ints, Ints, Ints],
    weight: Floats | None,
    *,
    items: tuple[Ints, Ints],
    counts: tuple[int, int],
    nuisance: Floats,
) -> Cells:
    pair, annotator, outcome, side = rows
    keys, cell = np.unique((pair * counts[1] + annotator) * 2 + (side > 0), return_inverse=True)
    weight = np.ones(len(pair)) if weight is None else weight
    owner = keys // 2
    return Cells(
        pair=owner // counts[1],
        annotator=owner % counts[1],
        side=(keys % 2) * 2.0 - 1.0,
        total=summed(cell, weight, len(keys)),
        lean=summed(cell, weight * outcome, len(keys)),
        tied=summed(cell, weight * (outcome == 0), len(keys)),
        item_a=items[0],
        item_b=items[1],
        items=counts[0],
        people=counts[1],
        nuisance=nuisance,
    )


def summed(cell: NDArray[np.intp], values: Floats, count: int) -> Floats:
    """Sums of `values` by number, [count]."""
    return np.asarray(np.bincount(cell, values, count), dtype=np.float64)


def _refuse_faulty(who: Ints, a: Ints, b: Ints, said: Ints, shown: Ints) -> None:
    faults = []
    if len({len(array) for array in (who, a, b, said, shown)}) > 1:
        faults.append(f"lengths {[len(array) for array in (who, a, b, said, shown)]}")
    elif not len(who):
        faults.append("no judgement")
    else:
        below = sum(int((array < 0).sum()) for array in (who, a, b))
        faults += [f"{below} numbers below 0"] if below else []
        strange = int((~np.isin(said, (-1, 0, 1))).sum() + (np.abs(shown) != 1).sum())
        faults += [f"{strange} outcomes or sides that are not -1, 0 or 1"] if strange else []
        faults += [f"{int((a == b).sum())} completions compared with themselves"] if (a == b).any() else []
    if faults:
        do = "mend the arrays; their coding is that of JudgementTable"
        raise InputError(explain(expected="arrays of judgements", got=f"{len(faults)} faults", do=do), faults)
