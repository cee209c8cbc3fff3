"""Crowd-BT aggregator: Bradley-Terry scores, and for each annotator the chance of saying what they see (Chen 2013).

    P_k(a before b) = eta_k s(u_a - u_b) + (1 - eta_k) s(u_b - u_a)

Ties count as half a choice for each. Catches: careless annotators (eta near one half) and those who answer the opposite
(below). Does not catch: side habits, which it takes for carelessness, and errors that all share.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from assay.preferences.aggregation import Aggregation, Estimates, build
from assay.preferences.cells import Cells, cells_of, summed
from assay.preferences.majority import left_habit
from assay.preferences.standard_errors import difference_errors
from assay.preferences.table import Floats, tabulate
from assay.records.judgement import Judgement

SCORE_PRIOR = 2.0
"""Standard deviation of the normal prior of scores."""
HONEST, DISHONEST = 8.0, 2.0
"""Beta prior of eta: as if each annotator had been right eight times of ten."""
TOLERANCE = 1e-2


def aggregate_by_crowd_bt(judgements: Sequence[Judgement], *, split: str, now: datetime) -> Aggregation:
    """Aggregate by Crowd-BT. Raises InputError for empty or undecided judgements. Reliability is 2 eta - 1 over its
    mean."""
    table = tabulate(judgements)
    cells = cells_of(table)
    vector, gradient_norm = _fitted(cells)
    scores, honesty = vector[: cells.items], expit(vector[cells.items :])
    difference = scores[cells.item_a] - scores[cells.item_b]
    eta, seen, unseen = honesty[cells.annotator], expit(difference)[cells.pair], expit(-difference)[cells.pair]
    says_a, says_b = eta * seen + (1 - eta) * unseen, eta * unseen + (1 - eta) * seen
    information = cells.total * ((2 * eta - 1) * (seen * unseen)) ** 2 / (says_a * says_b)
    errors = difference_errors(
        cells.item_a,
        cells.item_b,
        summed(cells.pair, information, cells.pairs),
        items=cells.items,
        prior=SCORE_PRIOR,
    )
    skill = 2 * honesty - 1
    mean = skill.mean()
    estimates = Estimates(
        method="crowd_bt",
        difference=difference,
        standard_error=errors,
        reliability=skill / mean if mean > 0 else np.ones(cells.people),
        side_bias=left_habit(table),
        converged=gradient_norm <= TOLERANCE,
        gradient_norm=gradient_norm,
    )
    return build(table, estimates, split=split, now=now)


def crowd_bt_difference(cells: Cells) -> Floats:
    """Differences of scores [pairs], `a` minus `b`."""
    scores = _fitted(cells)[0][: cells.items]
    return np.asarray(scores[cells.item_a] - scores[cells.item_b])


def _fitted(cells: Cells) -> tuple[Floats, float]:
    """Scores with log odds of eta, and the largest gradient."""
    found = minimize(
        crowd_bt_loss,
        np.concatenate([np.zeros(cells.items), np.full(cells.people, np.log(HONEST / DISHONEST))]),
        args=(cells,),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "maxfun": 2000, "maxcor": 20, "gtol": TOLERANCE / 10, "ftol": 0},
    )
    return found.x, float(np.abs(found.jac).max())


def crowd_bt_loss(vector: Floats, cells: Cells) -> tuple[float, Floats]:
    """Negative log posterior and its gradient at [scores (items), log odds of eta (people)]."""
    scores, logits = vector[: cells.items], vector[cells.items :]
    eta, lie = expit(logits)[cells.annotator], expit(-logits)[cells.annotator]
    difference = scores[cells.item_a] - scores[cells.item_b]
    seen, unseen = expit(difference)[cells.pair], expit(-difference)[cells.pair]
    says_a, says_b = eta * seen + lie * unseen, eta * unseen + lie * seen
    for_a, for_b = (cells.total + cells.lean) / 2, (cells.total - cells.lean) / 2
    value = for_a @ np.log(says_a) + for_b @ np.log(says_b)
    value += float((HONEST * -np.logaddexp(0, -logits) + DISHONEST * -np.logaddexp(0, logits)).sum())
    value -= float((scores**2).sum()) / (2 * SCORE_PRIOR**2)
    by_choice = for_a / says_a - for_b / says_b
    by_pair = np.bincount(cells.pair, by_choice * (eta - lie) * (seen * unseen), cells.pairs)
    by_score = np.bincount(cells.item_a, by_pair, cells.items) - np.bincount(cells.item_b, by_pair, cells.items)
    by_logit = summed(cells.annotator, by_choice * (seen - unseen) * eta * lie, cells.people)
    by_logit = by_logit + HONEST * expit(-logits) - DISHONEST * expit(logits)
    return -float(value), -np.concatenate([by_score - scores / SCORE_PRIOR**2, by_logit])
