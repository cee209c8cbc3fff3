"""Joint fit: scores of completions, reliability and side bias of annotators, and a tie rate, in one posterior mode.

Takes a judgement table; yields for each pair the difference of scores with its standard error, and what was learnt of
each annotator. The model is Bradley-Terry with ties (Davidson 1970) and one slope and one intercept an annotator:

    z = reliability_k (u_a - u_b) + bias_k (+1 if a stands left, -1 if right)
    P(a wins) : P(tie) : P(b wins) = exp(z/2) : nu : exp(-z/2)

with normal priors on scores, log reliabilities, biases and log nu. Reliabilities are divided by their mean inside the
model, so a score difference is the log odds that an annotator of reliability 1 decides for `a`; without that the
mode would shrink all scores and let the reliabilities grow.

Catches: careless annotators (reliability towards 0) and a fixed habit of one side. Does not catch: an error that all
annotators share, such as a liking for length; annotators who answer against better knowledge (reliability cannot be
negative: they look careless, with an agreement below one half); two groups who each agree among themselves.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assay.preferences.table import Floats, JudgementTable
from assay.records.errors import InputError, explain

GRADIENT_TOLERANCE = 1e-3
"""The largest absolute gradient at which the fit counts as converged; scores are then right to about three digits."""
ONE_SIDED_FROM = 20
"""From so many decided judgements on, all for one side is not chance (2 in a million for fair answers)."""


class Priors(NamedTuple):
    """Standard deviations of the normal priors. Scores are in logits of an annotator of reliability 1."""

    score: float = 2.0
    log_reliability: float = 1.0
    side_bias: float = 1.0
    log_tie: float = 2.0


@dataclass(frozen=True)
class JointFit:
    """The mode. `scores` has item length; `reliability` (mean 1) and `side_bias` (logits, left positive) annotator
    length; `difference` (a minus b) and `standard_error` pair length. `gradient_norm` is the largest absolute entry.
    """

    scores: Floats
    reliability: Floats
    side_bias: Floats
    tie: float
    difference: Floats
    standard_error: Floats
    gradient_norm: float
    converged: bool


def fit_jointly(table: JudgementTable, *, priors: Priors | None = None, max_iterations: int = 1000) -> JointFit:
    """Find the posterior mode by L-BFGS with the exact gradient.

    Raises InputError when every decided judgement fell on the same shown side: side and quality cannot be told apart.
    """
    _refuse_one_sided(table)
    priors = priors or Priors()
    scale = _steepness(table, priors)

    def scaled(vector: Floats) -> tuple[float, Floats]:
        value, slope = negative_log_posterior(vector / scale, table, priors)
        return value, slope / scale

    found = minimize(
        scaled,
        np.zeros(len(scale)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iterations, "maxfun": 2 * max_iterations, "maxcor": 30, "gtol": 1e-5, "ftol": 0},
    )
    mode = found.x / scale
    parameters = _split(mode, table)
    reliability = _normalised(parameters.log_reliability)
    _, gradient = negative_log_posterior(mode, table, priors)
    gradient_norm = float(np.abs(gradient).max())
    item_a, item_b = _pair_items(table)
    return JointFit(
        scores=parameters.scores,
        reliability=reliability,
        side_bias=parameters.side_bias,
        tie=float(np.exp(parameters.log_tie)),
        difference=parameters.scores[item_a] - parameters.scores[item_b],
        standard_error=_standard_errors(mode, table, priors),
        gradient_norm=gradient_norm,
        converged=gradient_norm <= GRADIENT_TOLERANCE,
    )


def negative_log_posterior(vector: Floats, table: JudgementTable, priors: Priors) -> tuple[float, Floats]:
    """Value and exact gradient at [scores (items), log reliabilities (K), side biases (K), log nu (1)]."""
    parameters = _split(vector, table)
    reliability = _normalised(parameters.log_reliability)
    difference, z = _leans(parameters, table)
    log_total = np.logaddexp(np.logaddexp(z / 2, -z / 2), parameters.log_tie)
    log_likelihood = float(
        np.where(table.is_decided, table.outcome * z / 2, parameters.log_tie).sum() - log_total.sum()
    )
    scales = (priors.score, priors.log_reliability, priors.side_bias, priors.log_tie)
    blocks = (parameters.scores, parameters.log_reliability, parameters.side_bias, np.array([parameters.log_tie]))
    penalty = sum(float((block**2).sum()) / (2 * scale**2) for block, scale in zip(blocks, scales, strict=True))

    by_z = table.outcome / 2 - (np.exp(z / 2 - log_total) - np.exp(-z / 2 - log_total)) / 2
    by_score = by_z * reliability[table.annotator]
    score = np.bincount(table.item_a, by_score, table.items) - np.bincount(table.item_b, by_score, table.items)
    people = len(table.annotators)
    slope = np.bincount(table.annotator, by_z * difference, people) * reliability
    # The mean of the reliabilities depends on each of them: the second term is that dependence.
    slope = slope - reliability * slope.sum() / people
    side = np.bincount(table.annotator, by_z * table.side, people)
    tie = np.array([(~table.is_decided).sum() - np.exp(parameters.log_tie - log_total).sum()])
    gradient = np.concatenate(
        [block / scale**2 - part for block, scale, part in zip(blocks, scales, (score, slope, side, tie), strict=True)]
    )
    return penalty - log_likelihood, gradient


def _steepness(table: JudgementTable, priors: Priors) -> Floats:
    """Square root of about the curvature along each parameter. An annotator's is many times a completion's: in these
    units the optimiser needs far fewer steps. Each judgement adds about an eighth."""
    people = len(table.annotators)
    by_item = np.bincount(table.item_a, minlength=table.items) + np.bincount(table.item_b, minlength=table.items)
    by_person = np.bincount(table.annotator, minlength=people)
    counts = np.concatenate([by_item, by_person, by_person, [len(table.pair)]]) / 8
    prior = np.repeat([1 / scale**2 for scale in priors], [table.items, people, people, 1])
    return np.asarray(np.sqrt(counts + prior), dtype=np.float64)


class _Parameters(NamedTuple):
    scores: Floats
    log_reliability: Floats
    side_bias: Floats
    log_tie: float


def _split(vector: Floats, table: JudgementTable) -> _Parameters:
    people = len(table.annotators)
    scores, log_reliability, side_bias, log_tie = np.split(vector, np.cumsum([table.items, people, people]))
    return _Parameters(scores, log_reliability, side_bias, float(log_tie[0]))


def _normalised(log_reliability: Floats) -> Floats:
    raw = np.exp(log_reliability - log_reliability.max())
    return np.asarray(raw / raw.mean(), dtype=np.float64)


def _leans(parameters: _Parameters, table: JudgementTable) -> tuple[Floats, Floats]:
    """Score differences and z, one each a judgement."""
    difference = parameters.scores[table.item_a] - parameters.scores[table.item_b]
    reliability = _normalised(parameters.log_reliability)[table.annotator]
    return difference, reliability * difference + parameters.side_bias[table.annotator] * table.side


def _pair_items(table: JudgementTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    _, first_row = np.unique(table.pair, return_index=True)
    return table.item_a[first_row], table.item_b[first_row]


def _standard_errors(vector: Floats, table: JudgementTable, priors: Priors) -> Floats:
    """Standard errors of the pairs' score differences, given the annotators, from the inverse Hessian of the scores.

    Completions of different prompts never meet, so the Hessian falls into small blocks, one a connected component;
    blocks of one size are inverted together. Leaving out the annotators' own uncertainty makes the errors slightly
    too small, by less the more judgements each annotator gave.
    """
    parameters = _split(vector, table)
    _, z = _leans(parameters, table)
    log_total = np.logaddexp(np.logaddexp(z / 2, -z / 2), parameters.log_tie)
    wins, losses = np.exp(z / 2 - log_total), np.exp(-z / 2 - log_total)
    curvature = (wins + losses) / 4 - ((wins - losses) / 2) ** 2
    curvature = curvature * _normalised(parameters.log_reliability)[table.annotator] ** 2
    by_pair = np.bincount(table.pair, curvature, len(table.pairs))
    item_a, item_b = _pair_items(table)
    edges = coo_array((np.ones(len(item_a)), (item_a, item_b)), shape=(table.items, table.items))
    count, component = connected_components(edges, directed=False)
    sizes = np.bincount(component, minlength=count)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.empty(table.items, dtype=np.int64)
    place[np.argsort(component, kind="stable")] = np.arange(table.items) - np.repeat(starts, sizes)
    errors = np.empty(len(table.pairs))
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        block_number = np.full(count, -1)
        block_number[members] = np.arange(len(members))
        here = np.flatnonzero(sizes[component[item_a]] == size)
        block, a, b = block_number[component[item_a[here]]], place[item_a[here]], place[item_b[here]]
        hessian = np.broadcast_to(np.eye(size) / priors.score**2, (len(members), size, size)).copy()
        for row, column, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            np.add.at(hessian, (block, row, column), sign * by_pair[here])
        covariance = np.linalg.inv(hessian)
        errors[here] = np.sqrt(covariance[block, a, a] + covariance[block, b, b] - 2 * covariance[block, a, b])
    return errors


def _refuse_one_sided(table: JudgementTable) -> None:
    sides = (table.outcome * table.side)[table.is_decided]
    if len(sides) >= ONE_SIDED_FROM and abs(sides.sum()) == len(sides):
        got = f"all {len(sides)} decided judgements for the {'left' if sides[0] > 0 else 'right'} one"
        todo = "show or import the sides at random, or use the method `majority`, which does not read sides"
        raise InputError(explain(expected="choices of both shown sides", got=got, do=todo))
