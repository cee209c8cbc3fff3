"""Hedging: sets a selection rule's knob where the true score peaks, from candidates with both proxy and true scores.

HedgeTune, Khalaf et al. 2025 (arXiv 2506.19248): as a rule presses harder on the proxy, the expected true score rises
or falls throughout or has one interior extremum, so the best knob is an end of the range or a root of the derivative.
Value and derivative are exact sums over the candidates. With few prompts noise can add roots: all are found on a grid,
and the best is taken, the gentler one where two are equal.

The true scores are a calibration set: some prompts whose candidates a person or a trusted scorer has judged. Prompts
that a result is reported on must not be among them.
Catches: a proxy that is right on average and wrong at its extremes. Does not catch: a policy that changes afterwards.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax, xlogy
from scipy.stats import rankdata

from assay.records.errors import ConfigError, InputError, explain
from assay.rewards.inference_time.best_of_poisson import share_below
from assay.rewards.inference_time.pessimism import pessimism_weights
from assay.rewards.inference_time.selection import as_rewards

GRID = 48


class Hedge(NamedTuple):
    """The chosen knob and the true score expected there, at the base (no selection) and at the hardest push.

    `is_interior` is False where the best is an end of the range: the proxy helps throughout, or not at all.
    """

    knob: float
    true_score: float
    at_base: float
    at_hardest: float
    is_interior: bool


class Response(NamedTuple):
    """Expected true score under a rule at one strength, and its derivative by the strength."""

    value: float
    slope: float


class Pressed(NamedTuple):
    """A rule on calibration scores: its response by strength, the strengths to search, and the knob of a strength."""

    respond: Callable[[float], Response]
    strengths: np.ndarray
    knob: Callable[[float], float]


def hedge(rule: str, proxy: np.ndarray, true: np.ndarray) -> Hedge:
    """The knob of a rule among `RULES` that maximises the expected true score of proxy scores.

    Both are [prompts, N]. Raises ConfigError for an unknown rule, InputError for scores that do not fit together.
    """
    if rule not in RULES:
        do = "name one of these"
        raise ConfigError(explain(expected=f"a rule among {sorted(RULES)}", got=repr(rule), do=do))
    seen, wanted = as_rewards(proxy), as_rewards(true)
    if seen.shape != wanted.shape or seen.shape[1] < 2:
        do = "give both scores of the same candidates, at least two a prompt"
        got = f"{list(seen.shape)} and {list(wanted.shape)}"
        raise InputError(explain(expected="proxy and true scores of one shape [prompts, N >= 2]", got=got, do=do))
    respond, strengths, knob = RULES[rule](seen, wanted)
    slopes = [(float(s), respond(float(s)).slope) for s in strengths]
    sloped = [(s, slope) for s, slope in slopes if slope != 0]  # the hardest pushes may have no slope left
    falls = [(a, b) for (a, rising), (b, falling) in pairwise(sloped) if rising > 0 > falling]
    roots = [float(brentq(lambda s: respond(s).slope, a, b)) for a, b in falls]
    tried = [float(strengths[0]), *roots, float(strengths[-1])]
    values = [respond(s).value for s in tried]
    best = int(np.argmax(values))
    return Hedge(knob(tried[best]), values[best], values[0], values[-1], 0 < best < len(tried) - 1)


def best_of_n_response(proxy: np.ndarray, true: np.ndarray) -> Pressed:
    """Best of n draws with replacement, for real n from 1 to N: F(t) = t^n."""
    respond = _by_rank(proxy, true, lambda t, n: t**n, lambda t, n: xlogy(t**n, t))
    return Pressed(respond, np.geomspace(1, proxy.shape[1], GRID), float)


def best_of_poisson_response(proxy: np.ndarray, true: np.ndarray) -> Pressed:
    """Best-of-Poisson for mu from 0 to N - 1."""
    respond = _by_rank(proxy, true, share_below, lambda t, mu: t * (t - 1) * np.exp(mu * (t - 1)))
    return Pressed(respond, np.r_[0, np.geomspace(0.01, proxy.shape[1] - 1, GRID)], float)


def soft_best_of_n_response(proxy: np.ndarray, true: np.ndarray) -> Pressed:
    """Soft best-of-n by its strength 1 / temperature."""

    def respond(strength: float) -> Response:
        weights = softmax(strength * proxy, axis=1)
        lift = proxy - (weights * proxy).sum(1, keepdims=True)
        return _response(weights, weights * lift, true)

    return Pressed(respond, _strengths(proxy), lambda strength: 1 / strength)


def pessimism_response(proxy: np.ndarray, true: np.ndarray) -> Pressed:
    """InferenceTimePessimism by its strength 1 / b; its weights are linear in it while their support stays."""

    def respond(strength: float) -> Response:
        weights = pessimism_weights(proxy, 1 / strength)
        chosen = weights > 0
        centre = (proxy * chosen).sum(1, keepdims=True) / chosen.sum(1, keepdims=True)
        return _response(weights, chosen * (proxy - centre) / proxy.shape[1], true)

    return Pressed(respond, _strengths(proxy), lambda strength: 1 / strength)


RULES: Mapping[str, Callable[[np.ndarray, np.ndarray], Pressed]] = {
    "best_of_n": best_of_n_response,
    "best_of_poisson": best_of_poisson_response,
    "pessimism": pessimism_response,
    "soft_best_of_n": soft_best_of_n_response,
}
"""The rules whose knob can be set, under the names they have in `SELECTIONS`."""


def _by_rank(
    proxy: np.ndarray,
    true: np.ndarray,
    share: Callable[[np.ndarray, float], np.ndarray],
    share_slope: Callable[[np.ndarray, float], np.ndarray],
) -> Callable[[float], Response]:
    """The response of a rule that sees ranks only: one mean true score a rank says all there is to know."""
    count = proxy.shape[1]
    curve = np.zeros(count)
    for seen, wanted in zip(proxy, true, strict=True):
        block = rankdata(seen, method="dense") - 1
        order = np.argsort(seen, kind="stable")
        curve += (np.bincount(block, wanted) / np.bincount(block))[block][order] / len(proxy)
    t = np.arange(count + 1) / count

    def respond(strength: float) -> Response:
        mass, slope = np.diff(share(t, strength)), np.diff(share_slope(t, strength))
        return Response(float(mass @ curve), float(slope @ curve))

    return respond


def _response(weights: np.ndarray, slope: np.ndarray, true: np.ndarray) -> Response:
    return Response(float((weights * true).sum(1).mean()), float((slope * true).sum(1).mean()))


def _strengths(proxy: np.ndarray) -> np.ndarray:
    """From all but no pull to all but the maximum, in units of the proxy's spread within prompts."""
    spread = float(np.sqrt(proxy.var(1).mean())) or 1.0
    return np.asarray(np.geomspace(1e-3, 1e3, GRID) / spread)
