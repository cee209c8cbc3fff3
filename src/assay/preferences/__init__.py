"""Preferences: adds up what people said, and keeps what groups of them said otherwise.

Room: takes judgements, yields preferences with their uncertainty and a report on agreement, annotators, contested
pairs, groups and time. `table` turns judgements into rows, `cells` those (or plain arrays of any size) into sparse
arrays.

Methods behind one protocol (`aggregation`), by name in `registry`: `joint` on `joint_fit` (scores, reliabilities, side
biases, ties, `surface` columns; errors from `standard_errors`, weights from `decay`, restarts from `incremental`),
`crowd_bt`, `dawid_skene`, `majority`. Views: `agreement` and `agreement_views`; `minority` (named groups, by `traits`;
`withholding` keeps back what would tell of a few), `mixture` (hidden groups), `drift` (when expectations moved),
`noisy_counts` (counts fit to be published). What to ask next: `selection`.
"""

from assay.preferences.aggregation import Aggregation, Aggregator, Estimates, build
from assay.preferences.agreement import krippendorff_alpha
from assay.preferences.cells import Cells, cells_from, cells_of
from assay.preferences.drift import expectation_drift
from assay.preferences.joint import aggregate_jointly
from assay.preferences.joint_fit import JointFit, Priors, fit_jointly
from assay.preferences.minority import minority_views
from assay.preferences.mixture import select_mixture
from assay.preferences.registry import AGGREGATORS, aggregate_split, get_aggregator
from assay.preferences.table import JudgementTable, tabulate

__all__ = [
    "AGGREGATORS",
    "Aggregation",
    "Aggregator",
    "Cells",
    "Estimates",
    "JointFit",
    "JudgementTable",
    "Priors",
    "aggregate_jointly",
    "aggregate_split",
    "build",
    "cells_from",
    "cells_of",
    "expectation_drift",
    "fit_jointly",
    "get_aggregator",
    "krippendorff_alpha",
    "minority_views",
    "select_mixture",
    "tabulate",
]
