"""Learning: asks for answers round by round, fits a reward on them and measures it. Takes a task, yields a curve."""

from typing import Literal, NamedTuple

import numpy as np

from assay.bench.selection.tasks import Task
from assay.preferences.selection import Pick, SelectionPlan, select
from assay.rewards import RewardSettings
from assay.rewards.bradley_terry import Pairs, fit_head
from assay.rewards.posterior import margin_factors

Way = Literal["random", "selected"]


class Rounds(NamedTuple):
    """How labels are asked for: `start` at random, then `batch` at a time, up to `most`."""

    start: int = 40
    batch: int = 20
    most: int = 400

    @property
    def labels(self) -> np.ndarray:
        """How many labels there are at each point of a curve."""
        return np.arange(self.start, self.most + 1, self.batch)


class Curve(NamedTuple):
    """`accuracy` on held-out pairs at each number of labels, and two gaps, mean over rounds: how far the reward agreed
    with an arm's answers, before it was fitted on them, more than with all that could have been asked.
    """

    accuracy: np.ndarray
    random_gap: float
    informative_gap: float


def learn(task: Task, way: Way, rounds: Rounds, *, seed: int) -> Curve:
    """Ask, fit and measure. Both ways begin with the same labels, for the same seed."""
    rng = np.random.default_rng([seed, 1])
    pool = np.flatnonzero(~task.is_held_out)
    asked = rng.choice(pool, size=rounds.start, replace=False)
    share = SelectionPlan(1).random_share if way == "selected" else 1.0
    accuracy: list[float] = []
    gaps: dict[str, list[float]] = {"random": [], "informative": []}
    for _ in rounds.labels:
        margins, within = _members(task, asked, rng)
        says_first = margins.mean(1) > 0
        accuracy.append(float((says_first == task.is_better)[task.is_held_out].mean()))
        left = np.setdiff1d(pool, asked)
        picks = select(
            margins[left],
            task.about[left],
            asked=task.about[asked],
            within=within[left],
            plan=SelectionPlan(rounds.batch, random_share=share),
            rng=rng,
        )
        agrees = np.where(says_first, task.answer, 1 - task.answer)[left]
        for arm, found in gaps.items():
            found += _gap(agrees, [pick for pick in picks if pick.arm == arm])
        asked = np.concatenate([asked, left[[pick.row for pick in picks]]])
    return Curve(np.array(accuracy), *(float(np.mean(found)) if found else 0.0 for found in gaps.values()))


def _gap(agrees: np.ndarray, picks: list[Pick]) -> list[float]:
    return [float(agrees[[pick.row for pick in picks]].mean() - agrees.mean())] if picks else []


def _members(task: Task, asked: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Margins [n, members] of heads, each fitted on its view and on a bootstrap of the prompts that were asked, and
    the factors [n, members d] of what each does not know by itself."""
    settings = RewardSettings()
    prompts = np.unique(task.prompt[asked])
    margins, factors = [], []
    for x in task.views:
        times = np.bincount(rng.choice(prompts, size=len(prompts)), minlength=task.prompt.max() + 1)
        rows = np.repeat(asked, times[task.prompt[asked]])
        pairs = Pairs(task.first[rows], task.second[rows], task.answer[rows], np.ones(len(rows)))
        theta = fit_head(x, pairs, ridge=settings.ridge, sum_to_zero=settings.sum_to_zero)
        apart = x[task.first] - x[task.second]
        margins.append(apart @ theta)
        factors.append(margin_factors(theta, apart, apart[asked], ridge=settings.ridge))
    return np.stack(margins, axis=1), np.concatenate(factors, axis=1) / np.sqrt(len(task.views))
