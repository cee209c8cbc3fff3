"""Stack: Assay's arm, put together from the product's own parts, each of which can be left out.

    surface    heads that explain choices by the named surface too and score without it, decorrelated from what is left
    members    the worst member counts (WCO) instead of the mean
    outliers   a penalty that grows beyond the reference's own quantile of distance, in all states and in named surface
    audit      words that the reward's picks have more often than the base policy are shown to people; the reward loses
               its liking for those that people do not share
    stop       the run's own monitor, with the checkpoint before its alarm (in `measuring`)

The audit costs labels that no other arm has: at most `audit_words` times `audit_questions` answers.
"""

from typing import NamedTuple

import numpy as np
from pydantic import Field

from assay.bench.overoptimisation.arms import Rewarded, aggregated
from assay.bench.overoptimisation.fitting import Fitted, Scored
from assay.bench.overoptimisation.world import Seen
from assay.records.record import Value
from assay.rewards.debias.nuisance import fit_residualiser
from assay.rewards.discovery import contrast
from assay.rewards.outliers import fit_mahalanobis, penalty


class StackConstants(Value):
    """The stack's constants, chosen on development seeds."""

    outlier_quantile: float = Field(default=0.95, gt=0, lt=1)
    """Quantile of the reference's distances beyond which a completion is penalised."""
    outlier_weight: float = Field(default=1.5, ge=0)
    """Reward deviations that a unit of distance beyond it costs."""
    surface_quantile: float = Field(default=0.9, gt=0, lt=1)
    """The same quantile on the named surface alone."""
    surface_weight: float = Field(default=1.0, ge=0)
    """The same weight on the named surface alone."""
    probe_of: int = Field(default=128, ge=2)
    """The picks that discovery looks at are best of so many."""
    audit_words: int = Field(default=6, ge=0)
    """Words, the strongest finds first, that an audit asks about."""
    audit_questions: int = Field(default=20, ge=1)
    """Questions a word."""
    unwanted_below: float = Field(default=0.45, gt=0, le=0.5)
    """Share of an audit's answers that prefer a word, below which it is taken out."""


class Parts(Value):
    """Which parts a variant of the stack has."""

    surface: bool = True
    members: bool = True
    outliers: bool = True
    audit: bool = True
    stop: bool = True


VARIANTS: dict[str, Parts] = {
    "Assay": Parts(),
    "Assay without surface": Parts(surface=False),
    "Assay without members": Parts(members=False),
    "Assay without outliers": Parts(outliers=False),
    "Assay without audit": Parts(audit=False),
    "Assay without stop": Parts(stop=False),
}
"""The stack and its ablations."""


class Questions(NamedTuple):
    """What an audit is asked: `word` [q], and the flat candidate numbers `having` [q] and `lacking` [q] it."""

    word: np.ndarray
    having: np.ndarray
    lacking: np.ndarray


def members_of(fitted: Fitted, parts: Parts) -> Scored:
    """The members of a variant."""
    return fitted.named if parts.surface else fitted.plain


class Costs(NamedTuple):
    """What lying outside costs the candidates [prompts, N] and the reference texts [m], in reward deviations."""

    candidates: np.ndarray
    reference: np.ndarray


def outlier_costs(seen: Seen, fitted: Fitted, constants: StackConstants) -> Costs:
    """Penalties by the distance in all states, and in the named surface alone."""
    cut = float(np.quantile(fitted.reference_distance, constants.outlier_quantile)) ** 2
    surface = seen.reference.surface
    space = fit_mahalanobis(surface, directions=surface.shape[1], quantile=constants.surface_quantile)
    flat = seen.candidates.surface.reshape(-1, surface.shape[1])
    ours = constants.surface_weight * penalty(space.distance(flat), space.cut).reshape(fitted.distance.shape)
    theirs = constants.surface_weight * penalty(space.distance(surface), space.cut)
    ours += constants.outlier_weight * penalty(fitted.distance**2, cut)
    theirs += constants.outlier_weight * penalty(fitted.reference_distance**2, cut)
    return Costs(ours, theirs)


def penalised(members: Scored, costs: Costs, parts: Parts) -> Rewarded:
    """A variant's reward of given members: aggregated, less what outliers cost."""
    rewarded = aggregated(members, "wco" if parts.members else "mean")
    if not parts.outliers:
        return rewarded
    reference = rewarded.reference_reward - costs.reference
    return rewarded._replace(reward=rewarded.reward - costs.candidates, reference_reward=reference)


def suspects(seen: Seen, reward: np.ndarray, constants: StackConstants) -> list[int]:
    """Words that best-of-n picks have significantly more often than the base policy, strongest first."""
    prompts, count = reward.shape
    blocks = max(1, count // constants.probe_of)
    size = count // blocks
    picks = reward[:, : blocks * size].reshape(prompts, blocks, size).argmax(2) + np.arange(blocks) * size
    picked = seen.candidates.markers[np.arange(prompts)[:, None], picks].reshape(-1, seen.candidates.markers.shape[-1])
    names = [str(word) for word in range(picked.shape[1])]
    finds = contrast(picked, seen.reference.markers, names)
    return [int(find.marker) for find in finds if find.share_optimised > find.share_reference][: constants.audit_words]


def questions(seen: Seen, reward: np.ndarray, words: list[int], constants: StackConstants) -> Questions:
    """Pairs of a prompt's completions with and without a word whose rewards, less the word's slope, are nearest.

    What is left between the two is mostly the word. Prompts are taken in turn, and each gives its middle reward.
    """
    prompts, count = reward.shape
    asked: list[tuple[int, int, int]] = []
    for word in words:
        has = seen.candidates.markers[..., word]
        share, together = has.mean(), (has * reward).mean()
        rest = reward - has * (together / share - (reward.mean() - together) / (1 - share))
        for question in range(constants.audit_questions):
            row = question % prompts
            having, lacking = np.flatnonzero(has[row]), np.flatnonzero(~has[row])
            if not len(having) or not len(lacking):
                continue
            order = having[np.argsort(rest[row, having])]
            first = order[len(order) * (1 + question // prompts) // (2 + question // prompts)]
            second = lacking[np.abs(rest[row, lacking] - rest[row, first]).argmin()]
            asked.append((word, row * count + int(first), row * count + int(second)))
    columns = np.array(asked, dtype=int).reshape(-1, 3)
    return Questions(columns[:, 0], columns[:, 1], columns[:, 2])


def unwanted(asked: Questions, prefers_having: np.ndarray, constants: StackConstants) -> list[int]:
    """Words that people, asked about pairs that differ by little else, seldom prefer."""
    words = np.unique(asked.word)
    return [int(word) for word in words if prefers_having[asked.word == word].mean() < constants.unwanted_below]


def without_words(seen: Seen, members: Scored, words: list[int]) -> Scored:
    """Members that give no slope to these words on the reference texts."""
    if not words:
        return members
    reference = seen.reference.markers[:, words].astype(np.float64)
    slopes = fit_residualiser(members.reference, reference)
    shape = members.candidates.shape
    present = seen.candidates.markers[..., words].reshape(-1, len(words)).astype(np.float64)
    flat = slopes.apply(members.candidates.reshape(-1, shape[-1]), present)
    return Scored(flat.reshape(shape), slopes.apply(members.reference, reference))
