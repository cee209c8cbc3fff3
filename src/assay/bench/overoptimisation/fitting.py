"""Fitting: everything that arms learn from what they see, once for all of them.

Takes `Seen`; yields `Fitted`: the members' rewards of the candidates under each way of fitting, all standardised on the
reference texts, and the distance of every text from the reference. Heads are the product's own, on the states and 32
random bent features of them, which stand for a frozen backbone; bootstraps make the members.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from assay.bench.overoptimisation.world import Seen
from assay.rewards.bradley_terry import Pairs, fit_head
from assay.rewards.debias.loess import fit_loess
from assay.rewards.debias.nuisance import decorrelate, fit_nuisance_head
from assay.rewards.debias.odin import fit_odin
from assay.rewards.outliers import fit_mahalanobis

MEMBERS = 5
BENT_FEATURES = 32
RIDGE = 0.02
NUISANCE_RIDGE = 1e-3
SUM_TO_ZERO = 0.01
STEPS = 20
"""Steps of the solver for a head; further ones move no reward by more than a hundredth of a reference deviation."""
OUTLIER_QUANTILE = 0.99


class Scored(NamedTuple):
    """Members' rewards of candidates [prompts, N, k] and reference texts [m, k], in reference deviations."""

    candidates: np.ndarray
    reference: np.ndarray


class Fitted(NamedTuple):
    """What was learnt, ready for arms to combine.

    `single`: one head on all pairs; `plain`: bootstrap heads; `averaged`: one head, their mean weight; `named`:
    bootstrap heads without the named surface; `odin`, `loess`: single heads without length; `distance`: root of the
    squared Mahalanobis distance of candidates [prompts, N] and reference [m]; `outlier_cut`: its 99th percentile.
    """

    single: Scored
    plain: Scored
    averaged: Scored
    named: Scored
    odin: Scored
    loess: Scored
    distance: np.ndarray
    reference_distance: np.ndarray
    outlier_cut: float


class View(NamedTuple):
    """The frozen backbone's features of states: the states and `tanh(states @ inward + bias)`."""

    inward: np.ndarray
    bias: np.ndarray

    def apply(self, states: np.ndarray) -> np.ndarray:
        """Features [..., d + 32] float32."""
        return np.concatenate([states, np.tanh(states @ self.inward + self.bias)], axis=-1)


def draw_view(width: int, rng: np.random.Generator) -> View:
    """A random view of states with this many columns."""
    inward = rng.standard_normal((width, BENT_FEATURES)) * 1.5 / np.sqrt(width)
    return View(inward.astype(np.float32), rng.standard_normal(BENT_FEATURES).astype(np.float32))


def fit(seen: Seen, rng: np.random.Generator) -> Fitted:
    """Fit every way that an arm asks for."""
    view = draw_view(seen.labelled.states.shape[1], rng)
    features = [view.apply(texts.states) for texts in (seen.labelled, seen.reference, seen.candidates)]
    labelled, surface = features[0].astype(np.float64), seen.labelled.surface
    score = scorer(features[1], features[2])
    samples = bootstraps(seen.pairs, rng)
    alone = fit_head(labelled, seen.pairs, ridge=RIDGE, sum_to_zero=SUM_TO_ZERO, steps=STEPS)
    plain = member_heads(labelled, samples, start=alone)
    named = named_heads(labelled, surface, samples, reference=features[1], reference_surface=seen.reference.surface)
    odin = fit_odin(labelled, surface[:, 0], seen.pairs, ridge=RIDGE, sum_to_zero=SUM_TO_ZERO)
    single = score(alone[:, None])
    width = seen.reference.states.shape[1]
    space = fit_mahalanobis(seen.reference.states, directions=width, quantile=OUTLIER_QUANTILE)
    distance = np.sqrt(space.distance(seen.candidates.states.reshape(-1, width)))
    return Fitted(
        single=single,
        plain=score(plain),
        averaged=score(plain.mean(1, keepdims=True)),
        named=score(named),
        odin=score(odin[:, None]),
        loess=_loess(seen, single),
        distance=distance.reshape(seen.candidates.states.shape[:2]),
        reference_distance=np.sqrt(space.distance(seen.reference.states)),
        outlier_cut=float(np.sqrt(space.cut)),
    )


def bootstraps(pairs: Pairs, rng: np.random.Generator) -> list[Pairs]:
    """As many resamples of the pairs as there are members; a pair drawn twice weighs twice."""
    count = len(pairs.chosen)
    samples = []
    for _ in range(MEMBERS):
        drawn, times = np.unique(rng.integers(0, count, count), return_counts=True)
        samples.append(pairs.take(drawn)._replace(weight=times.astype(np.float64)))
    return samples


def member_heads(features: np.ndarray, samples: list[Pairs], *, start: np.ndarray | None = None) -> np.ndarray:
    """One head a resample, [d, k]."""
    terms = {"ridge": RIDGE, "sum_to_zero": SUM_TO_ZERO}
    heads = [fit_head(features, pairs, **terms, start=start, steps=STEPS) for pairs in samples]
    return np.stack(heads, axis=1)


def scorer(reference: np.ndarray, candidates: np.ndarray) -> Callable[[np.ndarray], Scored]:
    """A function from head weights [d, k] to their rewards, standardised on the reference's features [m, d]."""

    def score(theta: np.ndarray) -> Scored:
        weights = theta.astype(np.float32)
        raw = reference @ weights
        shift, scale = raw.mean(0), np.maximum(raw.std(0), 1e-8)
        return Scored(_by_member((candidates @ weights - shift) / scale), (raw - shift) / scale)

    return score


def _by_member(scored: np.ndarray) -> np.ndarray:
    """The same array [..., k] with each member's rewards in one piece, on which aggregations are ten times as fast."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(scored, -1, 0)), 0, -1)


def named_heads(
    features: np.ndarray,
    surface: np.ndarray,
    samples: list[Pairs],
    *,
    reference: np.ndarray,
    reference_surface: np.ndarray,
) -> np.ndarray:
    """Heads [d, k] that explain choices by the named surface [n, 2] too and leave its part out.

    What is left of it because features encode it as well is taken out on the reference texts, [m, d] and [m, 2].
    """
    terms = {"ridge": RIDGE, "nuisance_ridge": NUISANCE_RIDGE, "sum_to_zero": SUM_TO_ZERO}
    heads = [fit_nuisance_head(features, surface, pairs, **terms).theta for pairs in samples]
    anchor = reference.astype(np.float64)
    return np.stack([decorrelate(theta, anchor, reference_surface) for theta in heads], axis=1)


def _loess(seen: Seen, single: Scored) -> Scored:
    curve = fit_loess(single.reference[:, 0], seen.reference.surface[:, 0])
    lengths = seen.candidates.surface[..., 0]
    flat = curve.residual(single.candidates[..., 0].ravel(), lengths.ravel()).reshape(*lengths.shape, 1)
    return Scored(flat, curve.residual(single.reference[:, 0], seen.reference.surface[:, 0])[:, None])
