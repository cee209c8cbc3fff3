"""Joint fit: scores of completions, reliability and side bias of annotators, and a tie rate, in one posterior mode.

Takes cells; yields for each pair the difference of scores with its standard error, and what was learnt of each
annotator. The model is Bradley-Terry with ties (Davidson 1970), one slope and one intercept an annotator, and surface
columns x that are fitted beside the scores and dropped (factorBT, 2019):

    z = reliability_k (u_a - u_b + coefficients . (x_a - x_b)) + bias_k (+1 if a stands left, -1 if right)
    P(a wins) : P(tie) : P(b wins) = exp(z/2) : nu : exp(-z/2)

with normal priors on scores, reliabilities (around 1), biases, log nu and coefficients. Reliabilities are divided by
their root mean square inside the model and by their mean after it, so a score difference is the log odds that an
annotator of reliability 1 decides for `a`; without that the mode would shrink scores and let reliabilities grow.

Catches: careless annotators (reliability towards 0), those who answer against better knowledge (below 0: their answers
count against what they say, unless inversion is forbidden), a fixed habit of one side, and, where surface columns are
given, a liking for them that all share. Does not catch: any other error that all annotators share; two groups who each
agree among themselves (see `mixture` and `minority`); a panel of which half or more answers against better knowledge.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, minimize

from assay.preferences.cells import Cells, summed
from assay.preferences.standard_errors import difference_errors
from assay.preferences.table import Floats
from assay.records.errors import InputError, explain

GRADIENT_TOLERANCE = 5e-3
"""The largest scaled gradient at which the fit counts as converged: about half a hundredth of a posterior s.d."""
ONE_SIDED_FROM = 20
"""From so many decided judgements on, all for one side is not chance (2 in a million for fair answers)."""
LEAST_MEAN = 0.05
"""Mean of the root-mean-square-1 reliabilities below which a panel has no common direction to be scaled by."""

BLOCK = 32_768
"""Cells that are worked on at a time, so that the temporary arrays of a million judgements stay in the cache."""

SHARES = (1 / 16, 1 / 4, 1 / 8, 1.0, 1 / 8)
"""Curvature that a judgement adds to each kind of parameter, as it needs the fewest steps on simulated panels."""


class Priors(NamedTuple):
    """Standard deviations of the normal priors, around 1 for reliabilities and 0 for all else. Scores are in logits."""

    score: float = 2.0
    reliability: float = 1.0
    side_bias: float = 1.0
    log_tie: float = 2.0
    nuisance: float = 1.0


class Parameters(NamedTuple):
    """Everything that is fitted: lengths items, people, people, one, columns. A fit starts and ends at such."""

    scores: Floats
    reliability: Floats
    side_bias: Floats
    log_tie: float
    coefficients: Floats


@dataclass(frozen=True)
class JointFit:
    """The mode. `scores` has item length; `reliability` (mean 1) and `side_bias` (logits, left positive) annotator
    length; `difference` (a minus b, without nuisance) and `standard_error` pair length; `coefficients` logits a unit of
    each nuisance column. `gradient_norm` is the largest entry in units of about a posterior s.d. `log_likelihood` is
    that of the judgements alone.
    """

    scores: Floats
    reliability: Floats
    side_bias: Floats
    tie: float
    coefficients: Floats
    difference: Floats
    standard_error: Floats
    log_likelihood: float
    gradient_norm: float
    converged: bool
    iterations: int

    @property
    def parameters(self) -> Parameters:
        """The mode in the model's own units, where a refit starts: reliabilities as large as their prior has them."""
        size = _size(self.reliability)
        reliability = self.reliability * self.reliability.mean() / size**2
        log_tie = float(np.log(self.tie))
        return Parameters(self.scores * size, reliability, self.side_bias, log_tie, self.coefficients * size)


def fit_jointly(
    cells: Cells,
    *,
    priors: Priors | None = None,
    start: Parameters | None = None,
    allows_inversion: bool = True,
    max_iterations: int = 1000,
) -> JointFit:
    """Find the posterior mode by L-BFGS with the exact gradient, from `start` or from equal scores and people.

    Without inversion no reliability falls below 0. Raises InputError when every decided judgement fell on the same
    shown side: side and quality cannot be told apart.
    """
    _refuse_one_sided(cells)
    priors = priors or Priors()
    scale = _steepness(cells, priors)
    origin = joined(start or neutral(cells)) * scale
    lower = np.full(len(scale), -np.inf)
    if not allows_inversion:
        lower[cells.items : cells.items + cells.people] = 0.0

    def scaled(vector: Floats) -> tuple[float, Floats]:
        value, slope = negative_log_posterior(vector / scale, cells, priors)
        return value, slope / scale

    found = minimize(
        scaled,
        origin,
        jac=True,
        method="L-BFGS-B",
        bounds=None if allows_inversion else Bounds(lower, np.inf),
        options={
            "maxiter": max_iterations,
            "maxfun": 2 * max_iterations,
            "maxcor": 20,
            "gtol": GRADIENT_TOLERANCE / 2,
            "ftol": 0,
        },
    )
    slope = np.where((found.x <= lower) & (found.jac > 0), 0.0, found.jac)
    return _result(separated(found.x / scale, cells), cells, priors, float(np.abs(slope).max()), int(found.nit))


def neutral(cells: Cells) -> Parameters:
    """Equal scores, equal people, no habit, ties as often as they came: where a fit starts when it knows nothing."""
    tied = cells.tied.sum()
    log_tie = float(np.log(2 * (tied + 0.5) / (cells.total.sum() - tied + 0.5)))
    columns = cells.nuisance.shape[1]
    return Parameters(np.zeros(cells.items), np.ones(cells.people), np.zeros(cells.people), log_tie, np.zeros(columns))


def joined(parameters: Parameters) -> Floats:
    """All parameters as one vector, in their order."""
    return np.concatenate([np.atleast_1d(np.asarray(part, dtype=np.float64)) for part in parameters])


def separated(vector: Floats, cells: Cells) -> Parameters:
    """The parameters of a vector."""
    ends = np.cumsum([cells.items, cells.people, cells.people, 1])
    scores, reliability, side_bias, log_tie, coefficients = np.split(vector, ends)
    return Parameters(scores, reliability, side_bias, float(log_tie[0]), coefficients)


def negative_log_posterior(vector: Floats, cells: Cells, priors: Priors) -> tuple[float, Floats]:
    """Value and exact gradient at [scores (items), reliabilities (K), side biases (K), log nu (1), coefficients]."""
    parameters = separated(vector, cells)
    size = _size(parameters.reliability)
    reliability = parameters.reliability / size
    leaning = _leaning(parameters, cells)
    value, ties = 0.0, 0.0
    by_pair, slope, side = np.zeros(cells.pairs), np.zeros(cells.people), np.zeros(cells.people)
    for first in range(0, len(cells.pair), BLOCK):
        rows = slice(first, first + BLOCK)
        pair, annotator, total, lean = cells.pair[rows], cells.annotator[rows], cells.total[rows], cells.lean[rows]
        lean_of_pair, slope_of_cell = leaning[pair], reliability[annotator]
        z = slope_of_cell * lean_of_pair + parameters.side_bias[annotator] * cells.side[rows]
        wins_less_losses, tied, log_total = _chances(z, parameters.log_tie)
        value += float(lean @ z / 2 - total @ log_total)
        ties += float(total @ tied)
        by_z = (lean - total * wins_less_losses) / 2
        part = np.bincount(pair - pair[0], by_z * slope_of_cell)
        by_pair[pair[0] : pair[0] + len(part)] += part
        slope += np.bincount(annotator, by_z * lean_of_pair, cells.people)
        side += np.bincount(annotator, by_z * cells.side[rows], cells.people)
    value += float(cells.tied.sum()) * parameters.log_tie
    score = np.bincount(cells.item_a, by_pair, cells.items) - np.bincount(cells.item_b, by_pair, cells.items)
    # The size depends on each reliability: the second term is that dependence.
    slope = (slope - reliability * (slope @ reliability) / cells.people) / size
    parts = (score, slope, side, np.array([cells.tied.sum() - ties]), by_pair @ cells.nuisance)
    offsets = _offsets(parameters)
    penalty = sum(float((offset**2).sum()) / (2 * scale**2) for offset, scale in zip(offsets, priors, strict=True))
    gradient = [offset / scale**2 - part for offset, scale, part in zip(offsets, priors, parts, strict=True)]
    return penalty - value, np.concatenate(gradient)


def log_likelihoods(parameters: Parameters, cells: Cells) -> Floats:
    """Log-likelihood of what each cell holds, reliabilities taken as they are once divided by their size."""
    z = _z(parameters, cells)
    _, _, log_total = _chances(z, parameters.log_tie)
    return np.asarray(cells.lean * z / 2 + cells.tied * parameters.log_tie - cells.total * log_total)


def expected_outcomes(parameters: Parameters, cells: Cells) -> Floats:
    """Expected outcome of one judgement of each cell: P(a wins) - P(b wins)."""
    return _chances(_z(parameters, cells), parameters.log_tie)[0]


def _result(mode: Parameters, cells: Cells, priors: Priors, gradient_norm: float, iterations: int) -> JointFit:
    size = _size(mode.reliability)
    mean = float((mode.reliability / size).mean())
    unit = mean if mean > LEAST_MEAN else 1.0
    wins_less_losses, ties, _ = _chances(_z(mode, cells), mode.log_tie)
    curvature = cells.total * ((1 - ties) - wins_less_losses**2) / 4
    curvature = curvature * (mode.reliability / size)[cells.annotator] ** 2
    errors = difference_errors(
        cells.item_a,
        cells.item_b,
        summed(cells.pair, curvature, cells.pairs),
        items=cells.items,
        prior=priors.score,
    )
    return JointFit(
        scores=mode.scores * unit,
        reliability=mode.reliability / size / unit,
        side_bias=mode.side_bias,
        tie=float(np.exp(mode.log_tie)),
        coefficients=mode.coefficients * unit,
        difference=(mode.scores[cells.item_a] - mode.scores[cells.item_b]) * unit,
        standard_error=errors * unit,
        log_likelihood=float(log_likelihoods(mode, cells).sum()),
        gradient_norm=gradient_norm,
        converged=gradient_norm <= GRADIENT_TOLERANCE,
        iterations=iterations,
    )


def _steepness(cells: Cells, priors: Priors) -> Floats:
    """Square root of about the curvature along each parameter. An annotator's is many times a completion's: in these
    units the optimiser needs far fewer steps. Each judgement adds about `SHARES`, to log nu the variance of a tie."""
    by_pair = np.bincount(cells.pair, cells.total, cells.pairs)
    by_item = np.bincount(cells.item_a, by_pair, cells.items) + np.bincount(cells.item_b, by_pair, cells.items)
    by_person = np.bincount(cells.annotator, cells.total, cells.people)
    by_column = by_pair @ cells.nuisance**2
    lengths = [cells.items, cells.people, cells.people, 1, len(by_column)]
    judged, tied = cells.total.sum(), cells.tied.sum()
    by_tie = np.array([tied * (1 - tied / judged)])
    counts = np.concatenate([by_item, by_person, by_person, by_tie, by_column]) * np.repeat(SHARES, lengths)
    return np.asarray(np.sqrt(counts + np.repeat([1 / scale**2 for scale in priors], lengths)), dtype=np.float64)


def _offsets(parameters: Parameters) -> list[Floats]:
    """Distances from the means of the priors, a part each."""
    scores, reliability, side_bias, log_tie, coefficients = parameters
    return [scores, reliability - 1.0, side_bias, np.array([log_tie]), coefficients]


def _size(reliability: Floats) -> float:
    """Root mean square, never zero."""
    return max(float(np.sqrt((reliability**2).mean())), 1e-12)


def _leaning(parameters: Parameters, cells: Cells) -> Floats:
    """Differences of scores with nuisance, one each a pair."""
    by_pair = parameters.scores[cells.item_a] - parameters.scores[cells.item_b]
    return np.asarray(by_pair + cells.nuisance @ parameters.coefficients)


def _z(parameters: Parameters, cells: Cells) -> Floats:
    """What a judgement of each cell leans to, in logits of `a`."""
    reliability = parameters.reliability / _size(parameters.reliability)
    leaning = _leaning(parameters, cells)[cells.pair]
    return reliability[cells.annotator] * leaning + parameters.side_bias[cells.annotator] * cells.side


def _chances(z: Floats, log_tie: float) -> tuple[Floats, Floats, Floats]:
    """P(a) - P(b), P(tie) and log(exp(z/2) + nu + exp(-z/2)), odd, even and even in z to the last bit."""
    half = np.abs(z) / 2
    small = np.exp(-half)
    tied = np.exp(log_tie) * small
    square = small * small
    total = 1 + tied + square
    return np.copysign((1 - square) / total, z), tied / total, half + np.log(total)


def _refuse_one_sided(cells: Cells) -> None:
    decided, left = (cells.total - cells.tied).sum(), cells.lean @ cells.side
    if decided >= ONE_SIDED_FROM and abs(left) >= decided * (1 - 1e-12):
        got = f"all {decided:.0f} decided judgements for the {'left' if left > 0 else 'right'} one"
        todo = "show or import the sides at random, or use the method `majority`, which does not read sides"
        raise InputError(explain(expected="choices of both shown sides", got=got, do=todo))
