"""Groups: one reward head a group of annotators, shrunk towards the head of all, combined by mean or worst-off group.

    theta_g = argmin  NLL_g(theta) + shrinkage / (2 n_g) |theta - theta_all|^2

so that a group of few judgements stays close to what all say and a large one speaks for itself. Takes judgements and
the group of each annotator (traits are no part of a judgement); yields one standardised reward a group.

The worst-off combination is the minimum over groups of the standardised reward, after MaxMin-RLHF (Chakraborty et al.
2024, arXiv 2402.08925). Theirs is the smallest *mean* over a policy's samples; the mean of the minima is a lower bound
of it and needs no policy. `worst_off_group` gives theirs, for a loop that asks anew in each round.

`fit_group_views` takes preferences instead, with the views of groups that the minority report put on them, so that
nobody need say again who belongs where. What people of no such group say is in the view of the whole, which counts as
a group of its own, `everyone`.

Catches: a reward that pleases the majority at the cost of a group that was named. Does not catch: groups nobody named,
disagreement inside a group, or a group so small that its head is the common one (see `GroupQuality`).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field
from scipy.optimize import minimize

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.errors import InputError, TrainingError, explain
from assay.records.judgement import Judgement
from assay.records.preference import Preference
from assay.rewards.bradley_terry import Pairs, fit_head, loss_and_gradient
from assay.rewards.completion_rows import CompletionRows, choice_pairs, prompt_folds, standing
from assay.rewards.features import Features
from assay.rewards.heads import (
    HeadSettings,
    SharedHeads,
    open_heads,
    require_enough,
    save_heads,
    see,
    standardised,
)
from assay.rewards.scores import RewardScores, by_parts

Combination = Literal["mean", "worst_off"]


class GroupSettings(HeadSettings):
    """Settings of group heads."""

    shrinkage: float = Field(default=10.0, ge=0)
    """Pull of each group's head towards the common one, in judgements: a group of so many listens to both about
    equally."""
    combination: Combination = "worst_off"
    """How groups become one reward: their mean, or the reward of the worst-off group."""


class GroupReward(NamedTuple):
    """Group heads and how they become one reward."""

    heads: SharedHeads
    combination: Combination

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the backbone layers whose states are read."""
        return self.heads.layers

    def score(self, features: Features) -> RewardScores:
        """Combined reward; `members` are the groups' rewards, `disagreement` is the s.d. between groups."""
        members = self.heads.score(features)
        return by_parts(members.mean(1) if self.combination == "mean" else members.min(1), members)

    def with_combination(self, combination: Combination) -> "GroupReward":
        """The same heads under another combination."""
        return self._replace(combination=combination)

    def save(self, directory: Path) -> None:
        """Write heads and combination into a directory."""
        save_heads(self.heads, directory, rest={"combination": self.combination})

    @classmethod
    def open(cls, directory: Path) -> "GroupReward":
        """Read what `save` wrote. Raises StorageError when the directory holds no heads."""
        heads, rest = open_heads(directory)
        return cls(heads, rest["combination"])


class GroupQuality(NamedTuple):
    """One group: judgements, out-of-fold accuracy of its head on them, and that of the common head on the same."""

    group: str
    judgements: int
    accuracy: float
    common_accuracy: float


class FittedGroups(NamedTuple):
    """The reward and what each group's head is worth to that group."""

    reward: GroupReward
    quality: tuple[GroupQuality, ...]


EVERYONE = "everyone"
"""The whole, as the views of preferences name it."""


class FittedViews(NamedTuple):
    """The reward, and how many preferences hold a view of each of its groups."""

    reward: GroupReward
    rows: tuple[int, ...]


def worst_off_group(rewards: np.ndarray) -> int:
    """Number of the group whose mean reward over samples [n, groups] is smallest: whom MaxMin-RLHF serves next."""
    return int(np.argmin(rewards.mean(0)))


def fit_towards(x: np.ndarray, pairs: Pairs, centre: np.ndarray, *, shrinkage: float, sum_to_zero: float) -> np.ndarray:
    """Head [d] that explains pairs while staying close to `centre` [d]: the formula above, for one group."""
    pull = shrinkage / max(1, len(pairs.chosen))

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loss_and_gradient(theta, x, pairs, ridge=0.0, sum_to_zero=sum_to_zero)
        offset = theta - centre
        return float(value + pull / 2 * offset @ offset), gradient + pull * offset

    solved = minimize(objective, centre, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(solved.x)


def fit_groups(
    lm: LanguageModel,
    judgements: Sequence[Judgement],
    groups: Mapping[str, str],
    settings: GroupSettings,
    *,
    seed: int,
    reference: Sequence[tuple[Prompt, str]] = (),
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> FittedGroups:
    """Fit a head a group; `groups` names the group of each annotator.

    Raises InputError that lists annotators without a group, TrainingError when there are fewer than two groups or one
    judged too rarely.
    """
    held = standing(judgements)
    homeless = sorted({j.annotator for j in held} - set(groups))
    if homeless:
        do = "name a group for each, or leave their judgements out"
        raise InputError(
            explain(expected="a group for each annotator", got=f"{len(homeless)} without", do=do), homeless
        )
    rows = CompletionRows()
    names = sorted({groups[j.annotator] for j in held})
    if len(names) < 2:
        got = f"{len(names)}: {', '.join(names)}" if names else "none"
        raise TrainingError(explain(expected="judgements of at least two groups", got=got, do="fit one reward for all"))
    pairs = [choice_pairs(rows, [(j, j.choice) for j in held if groups[j.annotator] == name]) for name in names]
    group = np.array(rows.group)
    for name, those in zip(names, pairs, strict=True):
        require_enough(f"judgements of group {name!r}", those, group)
    seen = see(lm, (rows.prompts, rows.completions), settings, reference=reference, cache=cache, progress=progress)
    _, by_group = fit_group_heads(seen.x, pairs, settings)
    quality = _quality(seen.x, dict(zip(names, pairs, strict=True)), group, settings, np.random.default_rng(seed))
    return FittedGroups(GroupReward(standardised(names, by_group, seen), settings.combination), quality)


def group_views(rows: CompletionRows, preferences: Sequence[Preference]) -> dict[str, Pairs]:
    """Each group's view of the pairs, `everyone` first: the chance that one of the group prefers `chosen`.

    `everyone` has a view of every pair, where no group differs the aggregation's; a group has one of the pairs that the
    report names it on, and what it says of others is left to the whole.
    """
    names = sorted({name for p in preferences for name in p.by_group or {}} - {EVERYONE})
    told = {name: [(p, p.by_group[name]) for p in preferences if p.by_group and name in p.by_group] for name in names}
    told = {EVERYONE: [(p, (p.by_group or {}).get(EVERYONE, p.probability)) for p in preferences]} | told
    return {
        name: Pairs(
            chosen=np.array([rows.number(p.prompt, p.chosen) for p, _ in views], dtype=int),
            rejected=np.array([rows.number(p.prompt, p.rejected) for p, _ in views], dtype=int),
            probability=np.array([share for _, share in views], dtype=float),
            weight=np.ones(len(views)),
        )
        for name, views in told.items()
    }


def fit_group_views(
    lm: LanguageModel,
    preferences: Sequence[Preference],
    settings: GroupSettings,
    *,
    reference: Sequence[tuple[Prompt, str]] = (),
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> FittedViews:
    """Fit a head for everyone and one for each group that differs, shrunk towards it, on the views of preferences.

    Raises TrainingError where no preference holds a group's view, or one is held by too few.
    """
    rows = CompletionRows()
    pairs = group_views(rows, preferences)
    if len(pairs) < 2:
        do = "fit the preferences with `assay preferences fit --traits FILE`; where no group differs, fit one for all"
        raise TrainingError(explain(expected="preferences with the views of groups that differ", got="none", do=do))
    group = np.array(rows.group)
    for name, those in pairs.items():
        require_enough(f"views of group {name!r}", those, group)
    seen = see(lm, (rows.prompts, rows.completions), settings, reference=reference, cache=cache, progress=progress)
    common = fit_head(seen.x, pairs[EVERYONE], ridge=settings.ridge, sum_to_zero=settings.sum_to_zero)
    own = [
        fit_towards(seen.x, those, common, shrinkage=settings.shrinkage, sum_to_zero=settings.sum_to_zero)
        for name, those in pairs.items()
        if name != EVERYONE
    ]
    heads = standardised(tuple(pairs), np.stack([common, *own], axis=1), seen)
    return FittedViews(GroupReward(heads, settings.combination), tuple(len(those.chosen) for those in pairs.values()))


def fit_group_heads(x: np.ndarray, pairs: Sequence[Pairs], settings: GroupSettings) -> tuple[np.ndarray, np.ndarray]:
    """The common head [d] and the groups' heads [d, groups] on rows x [n, d]."""
    everyone = Pairs(
        chosen=np.concatenate([p.chosen for p in pairs]),
        rejected=np.concatenate([p.rejected for p in pairs]),
        probability=np.concatenate([p.probability for p in pairs]),
        weight=np.concatenate([p.weight for p in pairs]),
    )
    common = fit_head(x, everyone, ridge=settings.ridge, sum_to_zero=settings.sum_to_zero)
    shrinkage, sum_to_zero = settings.shrinkage, settings.sum_to_zero
    own = [fit_towards(x, p, common, shrinkage=shrinkage, sum_to_zero=sum_to_zero) for p in pairs]
    return common, np.stack(own, axis=1)


def _quality(
    x: np.ndarray,
    pairs: Mapping[str, Pairs],
    group: np.ndarray,
    settings: GroupSettings,
    rng: np.random.Generator,
) -> tuple[GroupQuality, ...]:
    fold = prompt_folds(group, folds=settings.folds, rng=rng)
    right = {name: np.zeros((2, len(those.chosen))) for name, those in pairs.items()}
    for part in np.unique(fold):
        others = [those.take(np.flatnonzero(fold[those.chosen] != part)) for those in pairs.values()]
        if any(len(those.chosen) == 0 for those in others):
            do = "collect their judgements on more prompts"
            raise TrainingError(explain(expected="each group spread over prompts", got="one in a single fold", do=do))
        common, own = fit_group_heads(x, others, settings)
        for k, (name, those) in enumerate(pairs.items()):
            here = np.flatnonzero(fold[those.chosen] == part)
            difference = x[those.chosen[here]] - x[those.rejected[here]]
            is_first = those.probability[here] > 0.5
            right[name][:, here] = is_first == (difference @ np.stack([own[:, k], common], axis=1) > 0).T
    return tuple(
        GroupQuality(name, len(those.chosen), *right[name][:, those.probability != 0.5].mean(1).tolist())
        for name, those in pairs.items()
    )
