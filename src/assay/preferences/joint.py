"""Joint aggregators: preferences from the joint fit, which discounts careless people and takes out side habits.

Catches and does not catch what `joint_fit` says: in short, individual noise and side bias, never a shared error, save
for a liking of length or format where surface columns are asked for.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from assay.preferences.aggregation import Aggregation, Estimates, build
from assay.preferences.cells import cells_of
from assay.preferences.decay import decay_weights
from assay.preferences.joint_fit import JointFit, fit_jointly
from assay.preferences.surface import COLUMNS, surface_columns
from assay.preferences.table import JudgementTable, tabulate
from assay.records.judgement import Judgement


def aggregate_jointly(
    judgements: Sequence[Judgement],
    *,
    split: str,
    now: datetime,
    takes_out_surface: bool = False,
    allows_inversion: bool = True,
    half_life_days: float | None = None,
) -> Aggregation:
    """Aggregate by the joint fit. Raises InputError for empty, undecided or one-sided judgements.

    `takes_out_surface` fits length and format beside the scores and leaves them out of the margins. Without inversion
    nobody's answers count against what they say. With a half-life older judgements weigh less.
    """
    table = tabulate(judgements)
    nuisance = surface_columns(table.pairs) if takes_out_surface else None
    weight = None if half_life_days is None else decay_weights(table.judgements, half_life_days=half_life_days)
    fit = fit_jointly(cells_of(table, weight=weight, nuisance=nuisance), allows_inversion=allows_inversion)
    notes = _notes(table, fit)
    if half_life_days is not None:
        notes = (*notes, f"a judgement {half_life_days:g} days older than the last one weighs half")
    if not allows_inversion:
        notes = (*notes, "nobody's answers count against what they say")
    estimates = Estimates(
        method="joint"
        + ("_without_surface" if takes_out_surface else "")
        + ("" if allows_inversion else "_without_inversion"),
        difference=fit.difference,
        standard_error=fit.standard_error,
        reliability=fit.reliability,
        side_bias=fit.side_bias,
        converged=fit.converged,
        gradient_norm=fit.gradient_norm,
        notes=notes,
    )
    return build(table, estimates, split=split, now=now)


def _notes(table: JudgementTable, fit: JointFit) -> tuple[str, ...]:
    notes = []
    if not fit.converged:
        notes.append(f"the fit stopped at a gradient of {fit.gradient_norm:.1e}: scores are rough")
    inverted = [table.annotators[number] for number in np.flatnonzero(fit.reliability < 0)]
    if inverted:
        shown = ", ".join(inverted[:5]) + (f" and {len(inverted) - 5} more" if len(inverted) > 5 else "")
        notes.append(f"answers of {shown} count against what they say: read the minority report before believing it")
    for name, value in zip(COLUMNS, fit.coefficients, strict=False):
        notes.append(f"{value:+.2f} logits for one root mean square of {name}, taken out of the margins")
    return tuple(notes)


def aggregate_without_surface(judgements: Sequence[Judgement], *, split: str, now: datetime) -> Aggregation:
    """The joint fit with length and format fitted beside the scores and left out."""
    return aggregate_jointly(judgements, split=split, now=now, takes_out_surface=True)


def aggregate_without_inversion(judgements: Sequence[Judgement], *, split: str, now: datetime) -> Aggregation:
    """The joint fit in which nobody's answers count against what they say."""
    return aggregate_jointly(judgements, split=split, now=now, allows_inversion=False)
