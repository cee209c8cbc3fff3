"""Cost: how far a completion is from allowed, with an absolute zero: above 0 is a violation, below 0 is none.

    minimise  sum_i w_i log(1 + exp(-(c(worse_i) - c(better_i)))) / sum_i w_i
              + sign_weight sum_j v_j log(1 + exp(-s_j c_j)) / sum_j v_j + ridge/2 |theta|^2,   c = x theta + b

s is +1 for a violation and -1 for none: the pairs order costs, the signs fix where zero lies (Safe RLHF, Dai et al.
2023, arXiv 2310.12773). Then a scale and a shift are fitted on prompts held out, so that the cost is the log-odds of a
violation against a boundary: with the default of one half, cost 0 means that either is as likely.

Catches: violations like those labelled, also where every candidate violates (a mere ranking would still crown one).
Does not catch: kinds of violation that nobody labelled; it says nothing of how good a harmless answer is.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import expit, logit

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.errors import TrainingError, explain
from assay.records.judgement import Choice, Judgement
from assay.records.preference import Preference
from assay.records.record import Value
from assay.rewards.bradley_terry import Pairs, loss_and_gradient
from assay.rewards.calibration import expected_calibration_error, reliability, soft_nll
from assay.rewards.completion_rows import CompletionRows, choice_pairs, preference_pairs, prompt_folds
from assay.rewards.features import Features
from assay.rewards.heads import HeadSettings, SharedHeads, open_heads, save_heads, see
from assay.rewards.scores import RewardScores, by_parts

LEAST_LABELS = 4


class CostSettings(HeadSettings):
    """Settings of a cost model."""

    sign_weight: float = Field(default=1.0, gt=0)
    """Weight of the labels against the pairs."""
    boundary: float = Field(default=0.5, gt=0, lt=1)
    """Chance of a violation at which the cost is 0; lower is stricter."""
    categories: tuple[str, ...] = Field(default=("harmful",), min_length=1)
    """Critiques of these categories mark a violation."""
    attribute: str = "harmlessness"
    """Choices on this attribute order two completions by their cost, where people gave any."""


class Labelled(Value):
    """A completion that people found to violate a rule, or not."""

    prompt: Prompt
    completion: str
    is_violation: bool
    weight: float = Field(default=1.0, gt=0)


class Signs(NamedTuple):
    """Labels by row: `row` [labels], `sign` [labels] (+1 violation, -1 none), `weight` [labels]."""

    row: np.ndarray
    sign: np.ndarray
    weight: np.ndarray

    def take(self, which: np.ndarray) -> "Signs":
        """The labels with these numbers."""
        return Signs(self.row[which], self.sign[which], self.weight[which])


class CostQuality(NamedTuple):
    """Out-of-fold quality at cost 0: violations missed and harmless completions accused (shares), NLL in nats, ECE."""

    labels: int
    violations: int
    missed: float
    accused: float
    nll: float
    ece: float


class CostModel(NamedTuple):
    """One head whose value is the cost; as a reward it is the cost with its sign turned."""

    head: SharedHeads

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the backbone layers whose states are read."""
        return self.head.layers

    def cost(self, features: Features) -> np.ndarray:
        """Cost [n]; above 0 is a violation."""
        return self.head.score(features)[:, 0]

    def score(self, features: Features) -> RewardScores:
        """Minus the cost as a reward, so that more is better here too; above 0 is allowed."""
        reward = -self.cost(features)
        return by_parts(reward, reward[:, None])

    def save(self, directory: Path) -> None:
        """Write the head into a directory."""
        save_heads(self.head, directory, rest={})

    @classmethod
    def open(cls, directory: Path) -> "CostModel":
        """Read what `save` wrote. Raises StorageError when the directory holds no head."""
        return cls(open_heads(directory)[0])


class FittedCost(NamedTuple):
    """The cost model and what it is worth on prompts it has not seen; `unseen` [labels] are the costs it said there."""

    model: CostModel
    quality: CostQuality
    unseen: np.ndarray


def cost_loss_and_gradient(
    parameters: np.ndarray, x: np.ndarray, pairs: Pairs, signs: Signs, *, ridge: float, sign_weight: float
) -> tuple[float, np.ndarray]:
    """The objective above and its gradient, for parameters [d + 1] (theta, then b) and rows x [n, d].

    `chosen` of a pair is the harmless one, so it has the lower cost. The shift b is not penalised.
    """
    theta, b = parameters[:-1], parameters[-1]
    value, turned = 0.0, np.zeros_like(theta)
    if len(pairs.chosen):
        value, turned = loss_and_gradient(-theta, x, pairs, ridge=0.0, sum_to_zero=0.0)
    rows = x[signs.row]
    signed = signs.sign * (rows @ theta + b)
    weight = sign_weight * signs.weight / signs.weight.sum()
    value += float(weight @ np.logaddexp(0, -signed) + ridge / 2 * theta @ theta)
    slope = -weight * signs.sign * expit(-signed)
    return value, np.append(rows.T @ slope + ridge * theta - turned, slope.sum())


def fit_cost_head(x: np.ndarray, pairs: Pairs, signs: Signs, *, ridge: float, sign_weight: float) -> np.ndarray:
    """The minimising parameters [d + 1]. Raises TrainingError when the labels are all of one kind."""
    if len(np.unique(signs.sign)) < 2:
        do = "label some of the other kind, on other prompts too"
        raise TrainingError(explain(expected="labels of violations and of none", got="only one kind", do=do))
    solved = minimize(  # type: ignore[call-overload]  # the stubs do not know jac=True with a pair
        lambda p: cost_loss_and_gradient(p, x, pairs, signs, ridge=ridge, sign_weight=sign_weight),
        np.zeros(x.shape[1] + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500},
    )
    return np.asarray(solved.x)


def fit_zero(raw: np.ndarray, sign: np.ndarray, *, boundary: float = 0.5) -> tuple[float, float]:
    """Scale a > 0 and shift b that make a raw + b the log-odds of a violation, less those of the boundary (Platt 1999).

    Labels are smoothed as Platt's, so that separable labels do not send the scale to infinity.
    """
    violations, harmless = np.sum(sign > 0), np.sum(sign < 0)
    target = np.where(sign > 0, (violations + 1) / (violations + 2), 1 / (harmless + 2))

    def objective(p: np.ndarray) -> tuple[float, np.ndarray]:
        scale = np.exp(p[0])
        odds = scale * raw + p[1]
        error = (expit(odds) - target) / len(raw)
        return soft_nll(odds, target), np.array([scale * error @ raw, error.sum()])

    solved = minimize(objective, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-5, 5), (None, None)])
    return float(np.exp(solved.x[0])), float(solved.x[1] - logit(boundary))


def fit_cost(
    lm: LanguageModel,
    labelled: Sequence[Labelled],
    settings: CostSettings,
    *,
    seed: int,
    preferences: Sequence[Preference] = (),
    choices: Sequence[tuple[Judgement, Choice]] = (),
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> FittedCost:
    """Fit a cost model on labels, and on preferences or choices for the more harmless of two where there are any.

    Raises TrainingError when there are fewer than four violations or four harmless completions.
    """
    violations = sum(label.is_violation for label in labelled)
    if min(violations, len(labelled) - violations) < LEAST_LABELS:
        got = f"{violations} and {len(labelled) - violations}"
        expected = f"at least {LEAST_LABELS} violations and {LEAST_LABELS} harmless completions"
        raise TrainingError(explain(expected=expected, got=got, do="label more of the rarer kind"))
    rows = CompletionRows()
    both = preference_pairs(rows, preferences), choice_pairs(rows, choices)
    pairs = Pairs(*(np.concatenate(parts) for parts in zip(*(one[:4] for one in both), strict=True)))
    signs = Signs(
        row=np.array([rows.number(label.prompt, label.completion) for label in labelled], dtype=int),
        sign=np.array([1.0 if label.is_violation else -1.0 for label in labelled]),
        weight=np.array([label.weight for label in labelled]),
    )
    seen = see(lm, (rows.prompts, rows.completions), settings, cache=cache, progress=progress)
    fold = prompt_folds(np.array(rows.group), folds=settings.folds, rng=np.random.default_rng(seed))
    unseen = _out_of_fold(seen.x, pairs, signs, fold, settings)
    scale, shift = fit_zero(unseen, signs.sign, boundary=settings.boundary)
    fitted = _fit(seen.x, pairs, signs, settings)
    theta, b = scale * fitted[:-1, None], scale * fitted[-1] + shift
    head = SharedHeads(("cost",), seen.view, theta, np.array([-b]), np.ones(1), seen.layers)
    cost = scale * unseen + shift
    return FittedCost(CostModel(head), cost_quality(cost, signs.sign, boundary=settings.boundary), cost)


def cost_quality(cost: np.ndarray, sign: np.ndarray, *, boundary: float = 0.5) -> CostQuality:
    """What costs [labels] say of labels [labels]; both kinds must be there."""
    is_violation = sign > 0
    odds = cost + logit(boundary)
    label = is_violation.astype(float)
    return CostQuality(
        labels=len(sign),
        violations=int(is_violation.sum()),
        missed=float(np.mean(cost[is_violation] <= 0)),
        accused=float(np.mean(cost[~is_violation] > 0)),
        nll=soft_nll(odds, label),
        ece=expected_calibration_error(reliability(odds, label)),
    )


def _fit(x: np.ndarray, pairs: Pairs, signs: Signs, settings: CostSettings) -> np.ndarray:
    return fit_cost_head(x, pairs, signs, ridge=settings.ridge, sign_weight=settings.sign_weight)


def _out_of_fold(x: np.ndarray, pairs: Pairs, signs: Signs, fold: np.ndarray, settings: CostSettings) -> np.ndarray:
    """Raw costs [labels], each by a head that has seen no label or pair of its prompt."""
    raw = np.zeros(len(signs.row))
    for part in np.unique(fold[signs.row]):
        here = fold[signs.row] == part
        others = pairs.take(np.flatnonzero(fold[pairs.chosen] != part))
        fitted = _fit(x, others, signs.take(np.flatnonzero(~here)), settings)
        raw[here] = x[signs.row[here]] @ fitted[:-1] + fitted[-1]
    return raw
