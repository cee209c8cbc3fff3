"""Joint aggregator: preferences from the joint fit, which discounts careless people and takes out side habits.

Catches and does not catch what `joint_fit` says: in short, individual noise and side bias, never a shared error.
"""

from collections.abc import Sequence
from datetime import datetime

from assay.preferences.aggregation import Aggregation, Estimates, build
from assay.preferences.joint_fit import fit_jointly
from assay.preferences.table import tabulate
from assay.records.judgement import Judgement


def aggregate_jointly(judgements: Sequence[Judgement], *, split: str, now: datetime) -> Aggregation:
    """Aggregate by the joint fit. Raises InputError for empty, undecided or one-sided judgements."""
    table = tabulate(judgements)
    fit = fit_jointly(table)
    notes = () if fit.converged else (f"the fit stopped at a gradient of {fit.gradient_norm:.1e}: scores are rough",)
    estimates = Estimates(
        method="joint",
        difference=fit.difference,
        standard_error=fit.standard_error,
        reliability=fit.reliability,
        side_bias=fit.side_bias,
        converged=fit.converged,
        gradient_norm=fit.gradient_norm,
        notes=notes,
    )
    return build(table, estimates, split=split, now=now)
