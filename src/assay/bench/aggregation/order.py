"""Order: how often the better completion of a pair is found, and how well kinds of annotators are told apart.

Takes a world and scores of its pairs, or a fit; yields shares and areas under the ROC curve.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy.stats import rankdata

from assay.bench.aggregation.worlds import CAREFUL, LEFT, NOISY, SPAM, World
from assay.preferences import Cells, JointFit, cells_from, fit_jointly
from assay.preferences.crowd_bt import crowd_bt_difference
from assay.preferences.dawid_skene import find_truth

OURS: Mapping[str, Callable[[Cells], np.ndarray]] = MappingProxyType(
    {
        "joint": lambda cells: fit_jointly(cells).difference,
        "joint, no inversion": lambda cells: fit_jointly(cells, allows_inversion=False).difference,
        "crowd_bt": crowd_bt_difference,
        "dawid_skene": lambda cells: find_truth(cells).log_odds,
        "majority": lambda cells: np.bincount(cells.pair, cells.lean, cells.pairs),
    }
)
"""Differences of pairs by each of our methods."""


def world_cells(world: World) -> Cells:
    """A world's judgements to fit on."""
    return cells_from(
        world.annotator,
        world.item_a,
        world.item_b,
        world.outcome,
        world.side,
        items=len(world.worth),
        people=len(world.kind),
    )


def right_share(world: World, item_a: np.ndarray, item_b: np.ndarray, difference: np.ndarray) -> float:
    """Share of pairs whose better completion has the higher score; an even score is half right."""
    truth = np.sign(world.worth[item_a] - world.worth[item_b])
    return float(((np.sign(difference) * truth + 1) / 2).mean())


def area(positive: np.ndarray, negative: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, an even score a half."""
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)].sum()
    return float((ranks - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))


def told_apart(world: World, fit: JointFit) -> dict[str, float]:
    """Areas by kind: careful from all others, noisy and spamming from careful by reliability; side-biased from all
    others by side bias. Noisy from spamming is no claim: at 50 judgements they are nearly the same."""
    reliability, habit, kind = fit.reliability, np.abs(fit.side_bias), world.kind
    return {
        "careful": area(reliability[kind == CAREFUL], reliability[kind != CAREFUL]),
        "noisy": area(-reliability[kind == NOISY], -reliability[kind == CAREFUL]),
        "side-biased": area(habit[kind == LEFT], habit[kind != LEFT]),
        "spamming": area(-reliability[kind == SPAM], -reliability[kind == CAREFUL]),
        "noisy from spamming": area(reliability[kind == NOISY], reliability[kind == SPAM]),
    }
