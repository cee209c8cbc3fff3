"""Feature maps: the different views that the members of an ensemble take of the same features.

Members that differ only in their bootstrap share their errors (Eisenstein et al. 2023, arXiv 2312.09244); members that
see other layers or another pooling share fewer. Each map is fitted on the training completions only: blocks are
projected on their leading principal directions, so that a few hundred preferences can carry them, then standardised.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from assay.rewards.features import Features


class Block(NamedTuple):
    """States of one pooling and one of the layers that were read: 0 the lowest, -1 the highest."""

    pooling: Literal["mean", "last"]
    layer: int

    def of(self, features: Features) -> np.ndarray:
        """The states [n, width]."""
        return np.asarray(getattr(features, self.pooling)[:, self.layer])


class Basis(NamedTuple):
    """Centre [width] of a block's states and their leading principal directions [k, width]."""

    centre: np.ndarray
    directions: np.ndarray


FEATURE_MAPS: Mapping[str, tuple[Block, ...]] = {
    "mean-low": (Block("mean", 0),),
    "last-low": (Block("last", 0),),
    "mean-high": (Block("mean", -1),),
    "last-high": (Block("last", -1),),
    "mean-last": (Block("mean", -1), Block("last", 0)),
    "mean-both": (Block("mean", 0), Block("mean", -1)),
}
"""Which hidden states a member sees. `low` and `high` are the lowest and highest of the layers that were read."""

SURFACE = "+surface"
"""A map's name with this behind it also sees the text's surface, as in `mean-low+surface`."""


def is_map(name: str) -> bool:
    """Whether a name, with or without `+surface`, is that of a feature map."""
    return name.removesuffix(SURFACE) in FEATURE_MAPS


class FittedMap(NamedTuple):
    """A feature map with everything it needs: per block a centre and directions, then the final centre and scale."""

    name: str
    centres: tuple[np.ndarray, ...]
    directions: tuple[np.ndarray, ...]
    mean: np.ndarray
    scale: np.ndarray

    def apply(self, features: Features) -> np.ndarray:
        """Rows [n, d] with training mean 0 and s.d. 1 in each column."""
        return (_raw(self, features) - self.mean) / self.scale


def fit_map(name: str, features: Features, *, directions: int, known: dict[Block, Basis] | None = None) -> FittedMap:
    """Fit a named map on training features; `directions` is the number of principal directions a block keeps.

    `known` holds what earlier maps found on the same features, and is added to: maps that share a block share its cost.
    """
    known = {} if known is None else known
    blocks = FEATURE_MAPS[name.removesuffix(SURFACE)]
    for block in blocks:
        if block not in known:
            known[block] = _basis(block.of(features), directions)
    centres, bases = zip(*(known[block] for block in blocks), strict=True)
    unscaled = FittedMap(name, centres, bases, np.zeros(1), np.ones(1))
    raw = _raw(unscaled, features)
    scale = raw.std(0)
    return unscaled._replace(mean=raw.mean(0), scale=np.where(scale > 1e-8, scale, 1.0))


def _basis(states: np.ndarray, directions: int) -> Basis:
    centre = states.mean(0)
    _, _, rows = np.linalg.svd(np.asarray(states - centre, dtype=np.float64), full_matrices=False)
    return Basis(centre.astype(np.float64), rows[: min(directions, len(rows))])


def _raw(fitted: FittedMap, features: Features) -> np.ndarray:
    blocks = [block.of(features) for block in FEATURE_MAPS[fitted.name.removesuffix(SURFACE)]]
    parts = [(b - c) @ d.T for b, c, d in zip(blocks, fitted.centres, fitted.directions, strict=True)]
    return np.concatenate([*parts, features.surface] if fitted.name.endswith(SURFACE) else parts, axis=1)
