"""Preferences: adds up what people said.

Room: takes judgements, yields preferences with their uncertainty and a report on agreement, annotators and contested
pairs. `table` turns judgements into arrays; `joint_fit` is the model of scores, reliabilities and side biases, `joint`
and `majority` are the aggregators, `aggregation` their protocol and their records, `agreement` is Krippendorff's alpha,
`registry` names the methods and goes from stored judgements to stored preferences.
"""

from assay.preferences.aggregation import Aggregation, Aggregator, Estimates, build
from assay.preferences.agreement import krippendorff_alpha, percent_agreement, table_alpha
from assay.preferences.joint import aggregate_jointly
from assay.preferences.joint_fit import JointFit, Priors, fit_jointly
from assay.preferences.majority import aggregate_by_majority
from assay.preferences.registry import AGGREGATORS, aggregate_split, get_aggregator
from assay.preferences.table import JudgementTable, Pair, pair_key, tabulate

__all__ = [
    "AGGREGATORS",
    "Aggregation",
    "Aggregator",
    "Estimates",
    "JointFit",
    "JudgementTable",
    "Pair",
    "Priors",
    "aggregate_by_majority",
    "aggregate_jointly",
    "aggregate_split",
    "build",
    "fit_jointly",
    "get_aggregator",
    "krippendorff_alpha",
    "pair_key",
    "percent_agreement",
    "table_alpha",
    "tabulate",
]
