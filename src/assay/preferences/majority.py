"""Majority aggregator: every judgement one vote, a tie half a vote for each.

The simple method to compare with. Does not catch: careless annotators, side habits, or anything else about people;
it only reports them.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from assay.preferences.aggregation import Aggregation, Estimates, agreement_by_annotator, build
from assay.preferences.table import Floats, JudgementTable, tabulate
from assay.records.judgement import Judgement


def aggregate_by_majority(judgements: Sequence[Judgement], *, split: str, now: datetime) -> Aggregation:
    """Aggregate by votes. Raises InputError for empty or undecided judgements.

    Margin is the log odds of the votes with half a vote added to each side, and its error the usual one of log odds.
    Reliability is an annotator's agreement with the majority over the panel's mean; side bias the log odds of left.
    """
    table = tabulate(judgements)
    people, pairs = len(table.annotators), len(table.pairs)
    votes_a = np.bincount(table.pair, (1 + table.outcome) / 2, pairs) + 0.5
    votes_b = np.bincount(table.pair, (1 - table.outcome) / 2, pairs) + 0.5
    difference = np.log(votes_a) - np.log(votes_b)
    agreement = agreement_by_annotator(table, difference)
    estimates = Estimates(
        method="majority",
        difference=difference,
        standard_error=np.sqrt(1 / votes_a + 1 / votes_b),
        reliability=agreement / agreement.mean() if agreement.any() else np.ones(people),
        side_bias=left_habit(table),
    )
    return build(table, estimates, split=split, now=now)


def left_habit(table: JudgementTable) -> Floats:
    """Log odds with which each annotator chose the left, half a choice added to each side."""
    left, people = table.outcome * table.side, len(table.annotators)
    chosen, left_out = (np.bincount(table.annotator, which, people) + 0.5 for which in (left > 0, left < 0))
    return np.asarray(np.log(chosen / left_out), dtype=np.float64)
