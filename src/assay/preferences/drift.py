"""Drift: whether what people prefer moved while they were judging, and when.

Takes judgements with their times; yields for each subject a p value and the time at which before and after differ most.
Under the null the times of a pair's judgements could be exchanged; the largest standardised difference over candidate
times is compared with that under such exchanges, so looking at many times costs nothing. For surface columns the whole
panel's times are exchanged and the residual liking for the column is followed, which needs no pair to be judged twice.

Catches: the same pairs judged otherwise later; a growing or fading liking for length or format. Does not catch: a move
between two candidate times and back; drift where no pair is judged both early and late and no column goes with it. A
panel that was replaced at some time shows as drift too: look at who judged.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assay.preferences.cells import cells_of, summed
from assay.preferences.decay import SECONDS_A_DAY, days_of
from assay.preferences.joint_fit import expected_outcomes, fit_jointly
from assay.preferences.surface import COLUMNS, surface_columns
from assay.preferences.table import Floats, Ints, tabulate
from assay.records.errors import InputError, explain
from assay.records.judgement import Judgement
from assay.records.preference import ExpectationDrift


class Break(NamedTuple):
    """The candidate time after which things differ most, how much so in s.d. of the null, and how surely."""

    at: float
    statistic: float
    p_value: float


def find_break(
    value: Floats, unit: Ints, time: Floats, *, rng: np.random.Generator, candidates: int = 19, permutations: int = 400
) -> Break | None:
    """Test whether the mean of `value` within units changed at some `time`. None where no unit has two judgements or
    all have one time.

    The statistic at a time is the sum over units of n_before n_after / n (mean before - mean after)^2, less its mean
    and over its s.d. under the exchanges; the p value is that of the largest.
    """
    _, unit = np.unique(unit, return_inverse=True)
    counted = np.bincount(unit)[unit] >= 2
    if not counted.any() or np.ptp(time[counted]) == 0:
        return None
    value, time = value[counted], time[counted]
    _, unit = np.unique(unit[counted], return_inverse=True)
    cuts = np.unique(np.quantile(time, np.linspace(0.05, 0.95, candidates)))
    order = np.argsort(unit, kind="stable")
    value, time, unit = value[order], time[order], unit[order]
    is_late = time[:, None] > cuts
    sums = summed(unit, value, int(unit.max()) + 1)
    observed = _distances(value, unit, is_late, sums)
    null = np.empty((permutations, len(cuts)))
    for number in range(permutations):
        # Sorting by unit, then by a random key, exchanges the times within each unit.
        null[number] = _distances(value[np.lexsort((rng.random(len(unit)), unit))], unit, is_late, sums)
    mean, spread = null.mean(axis=0), null.std(axis=0)
    spread = np.where(spread > 0, spread, np.inf)
    scores = (observed - mean) / spread
    largest = ((null - mean) / spread).max(axis=1)
    best = int(np.argmax(scores))
    p_value = (1 + np.count_nonzero(largest >= scores[best])) / (1 + permutations)
    return Break(float(cuts[best]), float(scores[best]), float(p_value))


def _distances(value: Floats, unit: Ints, is_late: NDArray[np.bool_], sums: Floats) -> Floats:
    """The statistic at each candidate time, [times]."""
    size = np.bincount(unit)
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    late = np.add.reduceat(is_late.astype(np.float64), starts, axis=0)
    late_sum = np.add.reduceat(is_late * value[:, None], starts, axis=0)
    early = size[:, None] - late
    both = (late > 0) & (early > 0)
    gap = late_sum / np.maximum(late, 1) - (sums[:, None] - late_sum) / np.maximum(early, 1)
    return np.asarray((both * early * late / size[:, None] * gap**2).sum(axis=0))


def expectation_drift(
    judgements: Sequence[Judgement], *, rng: np.random.Generator, permutations: int = 400
) -> tuple[ExpectationDrift, ...]:
    """Test pairs and surface columns for a change over time, p values times the number of tests (Bonferroni).

    Raises InputError where nothing can be compared: all judgements of one moment.
    """
    table = tabulate(judgements)
    time = days_of(table.judgements)
    if np.ptp(time) == 0:
        do = "test judgements that were given over some time"
        raise InputError(explain(expected="judgements of different times", got="one time", do=do))
    nuisance = surface_columns(table.pairs)
    cells = cells_of(table)
    fit = fit_jointly(cells)
    row_of = {key: row for row, key in enumerate(zip(cells.pair, cells.annotator, cells.side, strict=True))}
    row = [row_of[key] for key in zip(table.pair, table.annotator, table.side, strict=True)]
    residual = table.outcome - expected_outcomes(fit.parameters, cells)[row]
    subjects = [("pairs", residual, table.pair)]
    everyone = np.zeros(len(table.pair), dtype=np.int64)
    subjects += [
        (name, residual * nuisance[table.pair, column], everyone)
        for column, name in enumerate(COLUMNS)
        if nuisance[:, column].any()
    ]
    found = []
    for name, value, unit in subjects:
        broken = find_break(value, unit, time, rng=rng, permutations=permutations)
        if broken is not None:
            at = datetime.fromtimestamp(broken.at * SECONDS_A_DAY, UTC)
            p_value = min(1.0, broken.p_value * len(subjects))
            found.append(ExpectationDrift(p_value=p_value, at=at, subject=name))
    return tuple(found)
