"""Mixture: hidden groups of annotators, each with scores of its own, found by EM; how many is chosen by prediction.

Takes cells; yields each annotator's share in each group and each group's differences by pair (mixture of Bradley-Terry,
as in MaxMin-RLHF, 2024). Within a group all are held equally reliable, so careless people come out as a group whose
differences are small. A number of groups is judged by the log-likelihood of judgements left out of the fit, and the
smallest number within one standard error of the best is taken: one group, unless more predict better.

Catches: people who agree with some and disagree with others, without a name for either. Does not catch: groups of whom
each member gave a handful of judgements, and groups that differ on a few pairs only (see `minority` for named ones).
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from scipy.special import logsumexp, softmax

from assay.preferences.cells import Cells
from assay.preferences.joint_fit import (
    Parameters,
    Priors,
    expected_outcomes,
    fit_jointly,
    log_likelihoods,
)
from assay.preferences.table import Floats

PRIORS = Priors(reliability=0.05)
"""Reliabilities held together: else one group would explain another as its mirror."""
ROUNDS = 40
STEPS = 25
"""Steps of the optimiser in each round of EM: each round starts where the last one ended."""
TOLERANCE = 1e-3


class Mixture(NamedTuple):
    """Groups, largest first: `share` [groups] of annotators, `membership` [people, groups] (chances that sum to 1),
    `difference` [groups, pairs] in logits, `log_likelihood` of all judgements, and whether EM came to rest."""

    share: Floats
    membership: Floats
    difference: Floats
    log_likelihood: float
    converged: bool


class Selection(NamedTuple):
    """The chosen mixture, and for 1, 2, ... groups the held-out log-likelihood a judgement with the standard error of
    its distance to the best (0 for the best)."""

    mixture: Mixture
    held_out: Floats
    standard_error: Floats


def fit_mixture(cells: Cells, *, groups: int, rng: np.random.Generator) -> Mixture:
    """Find so many groups. Each annotator belongs to one; `rng` starts the search."""
    return _em(cells, groups, rng)[0]


def select_mixture(cells: Cells, *, most: int = 3, folds: int = 4, rng: np.random.Generator) -> Selection:
    """Choose between 1 and `most` groups by held-out prediction over `folds`, then fit the choice on everything."""
    fold = rng.permutation(np.arange(len(cells.pair)) % folds)
    by_person = np.zeros((most, cells.people))
    for groups in range(1, most + 1):
        for number in range(folds):
            mixture, fitted = _em(_weighted(cells, fold != number), groups, rng)
            left_out = _weighted(cells, fold == number)
            chances = np.stack([log_likelihoods(parameters, left_out) for parameters in fitted], axis=1)
            with np.errstate(divide="ignore"):
                chances = chances + np.log(mixture.membership[cells.annotator])
            predicted = np.where(fold == number, logsumexp(chances, axis=1), 0.0)
            by_person[groups - 1] += np.bincount(cells.annotator, predicted, cells.people)
    total = by_person.sum(axis=1)
    best = int(np.argmax(total))
    gap = by_person[best] - by_person
    error = np.sqrt(cells.people * gap.var(axis=1))
    chosen = int(np.flatnonzero(total + error >= total[best])[0]) + 1
    judged = cells.total.sum()
    return Selection(fit_mixture(cells, groups=chosen, rng=rng), total / judged, error / judged)


def _em(cells: Cells, groups: int, rng: np.random.Generator) -> tuple[Mixture, list[Parameters]]:
    membership = _first_guess(cells, groups, rng)
    starts: list[Parameters | None] = [None] * groups
    last, value, rounds = -np.inf, -np.inf, 0
    chances = np.zeros((cells.people, groups))
    while rounds < ROUNDS and (rounds < 2 or value - last > TOLERANCE * max(1.0, cells.people / 100)):
        share = (membership.sum(axis=0) + 1) / (cells.people + groups)
        for group in range(groups):
            weighted = _weighted(cells, membership[cells.annotator, group])
            starts[group] = fit_jointly(weighted, priors=PRIORS, start=starts[group], max_iterations=STEPS).parameters
        fitted = [parameters for parameters in starts if parameters is not None]
        for group, parameters in enumerate(fitted):
            chances[:, group] = np.bincount(cells.annotator, log_likelihoods(parameters, cells), cells.people)
        scored = chances + np.log(share)
        last, value, rounds = value, float(logsumexp(scored, axis=1).sum()), rounds + 1
        membership = np.asarray(softmax(scored, axis=1))
    order = np.argsort(-membership.sum(axis=0), kind="stable")
    differences = np.array([p.scores[cells.item_a] - p.scores[cells.item_b] for p in fitted])
    mixture = Mixture(
        share=membership.mean(axis=0)[order],
        membership=membership[:, order],
        difference=differences[order],
        log_likelihood=value,
        converged=rounds < ROUNDS,
    )
    return mixture, [fitted[group] for group in order]


def _first_guess(cells: Cells, groups: int, rng: np.random.Generator) -> Floats:
    """Memberships from what the common fit leaves over: people whose residuals go together start together."""
    if groups == 1:
        return np.ones((cells.people, 1))
    common = fit_jointly(cells, priors=PRIORS).parameters
    residual = cells.lean - cells.total * expected_outcomes(common, cells)
    matrix = csr_array((residual, (cells.annotator, cells.pair)), shape=(cells.people, cells.pairs))
    parts = min(groups - 1, min(matrix.shape) - 1)
    if parts < 1:
        return np.asarray(softmax(rng.normal(size=(cells.people, groups)), axis=1))
    left, strength, _ = svds(matrix, k=parts, v0=rng.normal(size=min(matrix.shape)))
    _, label = kmeans2(left * strength, groups, minit="++", rng=rng)
    return np.asarray(np.where(label[:, None] == np.arange(groups), 0.8, 0.2 / max(groups - 1, 1)))


def _weighted(cells: Cells, weight: Floats | np.ndarray) -> Cells:
    return replace(cells, total=cells.total * weight, lean=cells.lean * weight, tied=cells.tied * weight)
