"""Select: what the members of a reward say of pairs that nobody has judged. Takes items, yields margins and places."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from assay.cli.stages.learn import open_reward, require_texts_fit
from assay.cli.walk import Walk
from assay.records.conversation import Prompt
from assay.records.errors import ModelError, explain
from assay.records.judgement import Item
from assay.records.preference import Preference
from assay.records.reward import RewardVersion
from assay.rewards import Features, read_features
from assay.rewards.completion_rows import CompletionRows
from assay.rewards.feature_maps import fit_map
from assay.storage import SplitName

PLACES = 8
"""Directions in which pairs lie apart: more make every pair as far from every other."""


class PoolView(NamedTuple):
    """`margins` [n, members] of the pool in logits; `about` [n, d] and `asked` [m, d] where pairs lie."""

    margins: np.ndarray
    about: np.ndarray
    asked: np.ndarray


def view_pool(walk: Walk, reward: RewardVersion, pool: Sequence[Item], waiting: Sequence[Item]) -> PoolView:
    """Read a pool through a reward. Asked are the pairs that it was fitted on and those that `waiting` holds.

    A pair lies where the mean of its completions' states does, in their leading directions. Raises InputError for texts
    beyond the model's context, ModelError for another model than the reward's.
    """
    ensemble, _ = open_reward(walk.workspace, reward.id)
    fitted = set(reward.identity.rows)
    known = walk.workspace.training.all(Preference, SplitName.TRAIN)
    rows = CompletionRows()
    pairs = [_numbers(rows, item.prompt, item.first, item.second) for item in (*pool, *waiting)]
    pairs += [
        _numbers(rows, one.prompt, one.chosen, one.rejected) for one in known if fitted.issuperset(one.judgements)
    ]
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
    members = ensemble.unshaped().score(features).members
    apart = (members[first] - members[second])[: len(pool)]
    about = places(features, first, second)
    margins = ensemble.calibrator.logits(apart.ravel()).reshape(apart.shape)
    return PoolView(margins, about[: len(pool)], about[len(pool) :])


def places(features: Features, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where pairs lie [pairs, d]: the mean of two completions' states, in `PLACES` leading directions."""
    where = fit_map("mean-high", features, directions=PLACES).apply(features)
    return np.asarray((where[first] + where[second]) / 2)


def _numbers(rows: CompletionRows, prompt: Prompt, one: str, other: str) -> tuple[int, int]:
    return rows.number(prompt, one), rows.number(prompt, other)
