"""Selection: which pairs to ask about next. Takes what a reward's members say of a pool, yields picks with their arm.

A declared share of the picks is drawn at random from the whole pool, first: each row with one propensity, so that what
people answer on them stays an unbiased sample. The others are picked one by one by what an answer would teach and how
much new ground it breaks (BAL-PM: Melo et al., NeurIPS 2024, arXiv 2406.10023):

    1/2 log(1 + p (1 - p) s^2)  +  diversity (log e - psi(n + 1) / d)

The first term is the information in nats that an answer holds about the reward, in the Gaussian approximation of a
logistic answer: s^2 is the variance of the margin, between the members and, where it is given, within each, and p their
mean probability. Every pick narrows the margins of all others as its answer will (conditioning of the Gaussian), so a
batch does not ask one thing many times.
The second is what the entropy of the prompts that were asked gains: n asked ones lie within e, the distance of a pair
to its k-th neighbour in pool and asked together, in d dimensions (Kraskov, Stoegbauer & Grassberger 2004).

Catches: members that differ, prompts that nobody was asked about. Does not catch: an error that all members share; and
people's own disagreement, which teaches a reward nothing. Answers on pairs that were not drawn at random are no sample
of the pool: they may train a reward, and no rate, accuracy or agreement of the pool is to be read off them.
"""

from typing import Literal, NamedTuple

import numpy as np
from scipy.spatial import KDTree
from scipy.special import digamma, expit

from assay.preferences.table import Floats, Ints
from assay.records.errors import InputError, explain

Arm = Literal["random", "informative"]


class SelectionPlan(NamedTuple):
    """How to pick. `diversity` is worth in nats a nat of entropy; `neighbours` is the k of its estimate."""

    wanted: int
    random_share: float = 0.2
    diversity: float = 0.05
    neighbours: int = 10


class Pick(NamedTuple):
    """A row of the pool. `propensity`: the chance with which a random draw takes it, None for one that was not drawn.

    `information` is what its answer is expected to teach beyond the picks before it, in nats.
    """

    row: int
    arm: Arm
    propensity: float | None
    information: float


def select(
    margins: Floats,
    about: Floats,
    *,
    plan: SelectionPlan,
    rng: np.random.Generator,
    asked: Floats | None = None,
    within: Floats | None = None,
) -> list[Pick]:
    """Pick rows of a pool, those drawn at random first.

    `margins` [n, k]: what each member says of each pair, in logits. `about` [n, d] and `asked` [m, d]: where the pairs'
    prompts lie, and those of pairs that were asked already. `within` [n, r]: factors C of the covariance C C' of the
    margins inside the members, mean over them; a few members alone differ along few directions. Raises InputError, with
    every fault, for what cannot be picked from.
    """
    asked = np.zeros((0, about.shape[1])) if asked is None else asked
    within = np.zeros((len(margins), 0)) if within is None else within
    _check(margins, about, asked, within, plan)
    count = len(margins)
    drawn = rng.choice(count, size=max(1, round(plan.random_share * plan.wanted)), replace=False)
    knowledge, ground = _Knowledge(margins, within), _Ground(about, asked, plan.neighbours)
    is_open = np.ones(count, dtype=bool)
    picks: list[Pick] = []
    for number in range(plan.wanted):
        information = knowledge.information()
        is_random = number < len(drawn)
        if is_random:
            row = int(drawn[number])
        else:
            worth = information + plan.diversity * ground.entropy()
            row = int(np.argmax(np.where(is_open, worth, -np.inf)))
        propensity = len(drawn) / count if is_random else None
        picks.append(Pick(row, "random" if is_random else "informative", propensity, float(information[row])))
        is_open[row] = False
        knowledge.learn(row)
        ground.ask(row)
    return picks


class _Knowledge:
    """What is not known of the margins: deviations [n, k + r] whose products are their covariance."""

    def __init__(self, margins: Floats, within: Floats) -> None:
        chance = expit(margins).mean(1)
        self._weight = chance * (1 - chance)
        members = margins.shape[1]
        between = (margins - margins.mean(1, keepdims=True)) / np.sqrt(max(members - 1, 1))
        self._deviations = np.concatenate([between, within], axis=1)

    def information(self) -> Floats:
        variance = (self._deviations**2).sum(1)
        return np.asarray(np.log1p(self._weight * variance) / 2)

    def learn(self, row: int) -> None:
        """Condition on an answer: S - S_j S_j' w / (1 + w S_jj), by its symmetric square root on the deviations."""
        along = self._deviations[row]
        variance = float(along @ along)
        if variance > 0:
            shrink = (1 - 1 / np.sqrt(1 + self._weight[row] * variance)) / variance
            self._deviations = self._deviations - shrink * np.outer(self._deviations @ along, along)


class _Ground:
    """Where questions lie: the reach of each pair [n], and how many asked ones lie within it [n]."""

    def __init__(self, about: Floats, asked: Floats, neighbours: int) -> None:
        every = np.concatenate([about, asked])
        nearest = min(neighbours, len(every) - 1)
        distances = np.asarray(KDTree(every).query(about, k=[nearest + 1])[0])[:, 0]  # the first is the pair itself
        known = distances[distances > 0]
        floor = float(np.median(known)) / 1000 if len(known) else 1.0  # copies have no distance, and log 0 no value
        self._about, self._reach = about, np.maximum(distances, floor)
        self._within: Ints = np.zeros(len(about), dtype=np.int64)
        for point in asked:
            self._count(point)

    def entropy(self) -> Floats:
        within = digamma(self._within + 1)
        return np.asarray(np.log(self._reach) - within / self._about.shape[1])

    def ask(self, row: int) -> None:
        self._count(self._about[row])

    def _count(self, point: Floats) -> None:
        self._within += ((self._about - point) ** 2).sum(1) <= self._reach**2


def _check(margins: Floats, about: Floats, asked: Floats, within: Floats, plan: SelectionPlan) -> None:
    faults = []
    if not 1 <= plan.wanted <= len(margins):
        faults.append(f"{plan.wanted} picks from a pool of {len(margins)}")
    if not 0 < plan.random_share <= 1:
        faults.append(f"a random share of {plan.random_share:g}, not above 0 and at most 1")
    if plan.diversity < 0 or plan.neighbours < 1:
        faults.append(f"diversity {plan.diversity:g} and {plan.neighbours} neighbours, not from 0 and from 1")
    if not len(about) == len(within) == len(margins) or about.shape[1] != asked.shape[1]:
        shapes = ", ".join(str(values.shape) for values in (about, asked, within))
        faults.append(f"places and factors {shapes} for margins {margins.shape}")
    if not all(np.isfinite(values).all() for values in (margins, about, asked, within)):
        faults.append("values that are not finite")
    if faults:
        do = "give a larger pool or a smaller count, and a share of at least one random pick"
        raise InputError(explain(expected="a pool to pick from", got="; ".join(faults), do=do))
