"""Dawid-Skene aggregator: each annotator a confusion table, each pair a hidden truth, by EM (Dawid and Skene 1979).

Truth and answers are coded by the side of the screen, so that a table also holds a habit of one side; a tie is a third
answer. Catches: careless and side-biased annotators, and those who answer the opposite. Does not catch: what pairs of
one prompt say about each other (each pair is judged alone), degrees of better, errors that all share. A margin here is
the log odds of being better, not of being chosen: with many judgements it grows without end.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtri_exp

from assay.preferences.aggregation import Aggregation, Estimates, build
from assay.preferences.cells import Cells, cells_of, summed
from assay.preferences.majority import left_habit
from assay.preferences.table import Floats, tabulate
from assay.records.judgement import Judgement

PRIOR_ANSWERS = np.array([2.0, 0.5, 1.0])
"""Answers added to each row of a table: right, tie, wrong. They say that people are right more often than not."""
TOLERANCE = 1e-6
LARGEST_LOG_ODDS = 30.0
"""Log odds beyond which a probability cannot be told from 1."""


class HiddenTruth(NamedTuple):
    """`log_odds` [pairs] that `a` is better; `answers` [2, 3, people]: of truth left, right, said left, tie, right."""

    log_odds: Floats
    answers: Floats
    change: float


def aggregate_by_dawid_skene(judgements: Sequence[Judgement], *, split: str, now: datetime) -> Aggregation:
    """Aggregate by hidden truth. Raises InputError for empty or undecided judgements."""
    table = tabulate(judgements)
    found = find_truth(cells_of(table))
    size = np.abs(found.log_odds)
    # The error with which Phi(margin / error) is the posterior probability; at zero its limit sqrt(8 / pi) / 2.
    with np.errstate(invalid="ignore", divide="ignore"):
        error = size / -ndtri_exp(-np.logaddexp(0, size))
    skill = (found.answers[0, 0] - found.answers[0, 2] + found.answers[1, 2] - found.answers[1, 0]) / 2
    mean = skill.mean()
    estimates = Estimates(
        method="dawid_skene",
        difference=found.log_odds,
        standard_error=np.where(size > 1e-6, error, np.sqrt(8 / np.pi)),
        reliability=skill / mean if mean > 0 else np.ones(len(skill)),
        side_bias=left_habit(table),
        converged=found.change <= TOLERANCE,
        gradient_norm=found.change,
        notes=("margins are log odds of being better, not of being chosen",),
    )
    return build(table, estimates, split=split, now=now)


def find_truth(cells: Cells, *, max_rounds: int = 500) -> HiddenTruth:
    """EM from shares of votes. `change` is the largest one of a probability in the last round."""
    said_a, said_b = (cells.total - cells.tied + cells.lean) / 2, (cells.total - cells.tied - cells.lean) / 2
    a_is_left = cells.side > 0
    left, right = np.where(a_is_left, said_a, said_b), np.where(a_is_left, said_b, said_a)
    votes = summed(cells.pair, cells.lean, cells.pairs)
    log_odds = 2 * votes / (summed(cells.pair, cells.total, cells.pairs) + 1)
    change, rounds = np.inf, 0
    answers = np.empty((2, 3, cells.people))
    while change > TOLERANCE and rounds < max_rounds:
        truth = cells.side * log_odds[cells.pair]
        answers = np.stack(
            [_rates(expit(truth), (left, cells.tied, right), cells, PRIOR_ANSWERS),
             _rates(expit(-truth), (left, cells.tied, right), cells, PRIOR_ANSWERS[::-1])]
        )  # fmt: skip
        ratio = np.log(answers[0]) - np.log(answers[1])
        word = [said * ratio[label][cells.annotator] for label, said in enumerate((left, cells.tied, right))]
        # Left and right first: a sum in this order is the same to the last bit when sides are exchanged.
        by_cell = cells.side * ((word[0] + word[2]) + word[1])
        update = np.clip(summed(cells.pair, by_cell, cells.pairs), -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
        change = float(np.abs(expit(update) - expit(log_odds)).max())
        log_odds, rounds = update, rounds + 1
    return HiddenTruth(log_odds, answers, change)


def _rates(chance: Floats, said: tuple[Floats, Floats, Floats], cells: Cells, prior: Floats) -> Floats:
    """How often each annotator gave each answer where this was the truth, [3, people]."""
    counts = np.stack([np.bincount(cells.annotator, chance * one, cells.people) for one in said]) + prior[:, None]
    return np.asarray(counts / ((counts[0] + counts[2]) + counts[1]))
