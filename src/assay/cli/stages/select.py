"""Select: what the members of a reward say of pairs that nobody has judged. Takes items, yields margins and places."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from assay.cli.stages.learn import open_reward, require_texts_fit
from assay.cli.walk import Walk
from assay.records.conversation import Prompt
from assay.records.errors import InputError, ModelError, explain
from assay.records.judgement import Item
from assay.records.preference import Preference
from assay.records.reward import RewardVersion
from assay.rewards import Features, RewardEnsemble, read_features
from assay.rewards.completion_rows import CompletionRows
from assay.rewards.feature_maps import fit_map
from assay.rewards.posterior import margin_factors
from assay.storage import SplitName

PLACES = 8
"""Directions in which pairs lie apart: more make every pair as far from every other."""


class PoolView(NamedTuple):
    """`margins` [n, members] of the pool in logits, `within` [n, r] factors of what each member does not know itself;
    `about` [n, d] and `asked` [m, d] where pairs lie."""

    margins: np.ndarray
    within: np.ndarray
    about: np.ndarray
    asked: np.ndarray


def view_pool(walk: Walk, reward: RewardVersion, pool: Sequence[Item], waiting: Sequence[Item]) -> PoolView:
    """Read a pool through a reward. Asked are the pairs that it was fitted on and those that `waiting` holds.

    A pair lies where the mean of its completions' states does, in their leading directions. Raises InputError for texts
    beyond the model's context or a reward that is no ensemble, ModelError for another model than the reward's.
    """
    ensemble, _ = open_reward(walk, reward.id)
    if not isinstance(ensemble, RewardEnsemble):
        do = "train one with `assay reward train --kind ensemble`, and choose by that"
        got = f"a reward of the kind {ensemble.kind}"
        raise InputError(explain(expected="an ensemble, whose members can disagree on a pair", got=got, do=do))
    known = _fitted(walk, reward)
    rows = CompletionRows()
    pairs = [_numbers(rows, item.prompt, item.first, item.second) for item in (*pool, *waiting)]
    pairs += [_numbers(rows, one.prompt, one.chosen, one.rejected) for one in known]
    lm = walk.fresh_model()
    if lm.id != reward.backbone:
        got, do = f"{lm.source!r} with weights {lm.id[:12]}", "name the model that it was fitted on with --model"
        raise ModelError(explain(expected=f"the reward's backbone {reward.backbone[:12]}", got=got, do=do))
    require_texts_fit(lm, list(zip(rows.prompts, rows.completions, strict=True)))
    with walk.bar("reading features", len(rows.completions)) as advance:
        features = read_features(
            lm,
            rows.prompts,
            rows.completions,
            layers=ensemble.layers,
            cache=walk.scratch / "features",
            progress=advance,
        )
    first, second = np.array(pairs).T
    plain = ensemble.unshaped()
    members = plain.score(features).members
    apart = (members[first] - members[second])[: len(pool)]
    about = places(features, first, second)
    margins = ensemble.calibrator.logits(apart.ravel()).reshape(apart.shape)
    seen = len(pool) + len(waiting)
    rows_of = _Rows(first[: len(pool)], second[: len(pool)], first[seen:], second[seen:])
    within = _within(plain, features, rows_of, ridge=walk.config.reward.ridge)
    return PoolView(margins, within, about[: len(pool)], about[len(pool) :])


class _Rows(NamedTuple):
    """Rows of the pool's pairs and of the pairs that the reward was fitted on."""

    first: np.ndarray
    second: np.ndarray
    chosen: np.ndarray
    rejected: np.ndarray


def _fitted(walk: Walk, reward: RewardVersion) -> list[Preference]:
    """The preferences that a reward was fitted on, those it was calibrated on left out."""
    rows, held_out, report = set(reward.identity.rows), set(reward.calibration_prompts or ()), reward.aggregation_report
    return [
        one
        for one in walk.workspace.training.all(Preference, SplitName.TRAIN)
        if report in (None, one.aggregation) and rows.issuperset(one.judgements) and one.prompt_id not in held_out
    ]


def _within(ensemble: RewardEnsemble, features: Features, rows: _Rows, *, ridge: float) -> np.ndarray:
    """Factors [n, r] of the covariance within the members, in logits, mean over them."""
    factors = []
    for member in ensemble.members:
        x = member.seen(features)
        pool, fitted = x[rows.first] - x[rows.second], x[rows.chosen] - x[rows.rejected]
        factors.append(margin_factors(member.theta, pool, fitted, ridge=ridge) / member.scale)
    return np.concatenate(factors, axis=1) / (ensemble.temperature * np.sqrt(len(ensemble.members)))


def places(features: Features, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where pairs lie [pairs, d]: the mean of two completions' states, in `PLACES` leading directions."""
    where = fit_map("mean-high", features, directions=PLACES).apply(features)
    return np.asarray((where[first] + where[second]) / 2)


def _numbers(rows: CompletionRows, prompt: Prompt, one: str, other: str) -> tuple[int, int]:
    return rows.number(prompt, one), rows.number(prompt, other)
