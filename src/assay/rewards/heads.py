"""Heads: several linear rewards over one shared view of the frozen features, side by side as columns of one matrix.

Takes features, yields one standardised reward a head: mean 0 and s.d. 1 on anchor completions, so that heads can be
added, weighed and compared. The features are read once, whatever the number of heads.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field, field_validator
from safetensors.numpy import load_file, save_file

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.errors import StorageError, TrainingError, explain
from assay.records.record import Value
from assay.rewards.bradley_terry import Pairs
from assay.rewards.feature_maps import FEATURE_MAPS, FittedMap, fit_map, is_map
from assay.rewards.features import Features, read_features

LEAST_PAIRS = 8
LEAST_PROMPTS = 4


class HeadSettings(Value):
    """Settings of heads that share a view."""

    feature_map: str = "mean-both"
    """The view that all heads share."""
    layers: tuple[float, float] = (0.3, 0.5)
    """Depth of the lower and higher layer whose states are read, as shares of the backbone's depth."""
    directions: int = Field(default=24, ge=1)
    """Principal directions that each block of states keeps."""
    ridge: float = Field(default=0.02, gt=0)
    """Ridge penalty of each head."""
    sum_to_zero: float = Field(default=0.01, ge=0)
    """Weight of the sum-to-zero term."""
    folds: int = Field(default=5, ge=2)
    """Parts by prompt for what is learnt or measured out of sample."""

    @field_validator("feature_map")
    @classmethod
    def _map_exists(cls, value: str) -> str:
        if not is_map(value):
            raise ValueError(f"expected a name among {sorted(FEATURE_MAPS)}, or with +surface; got {value!r}")
        return value


class Seen(NamedTuple):
    """What heads are fitted on: features of each row, the shared view of them [n, d], and the anchor's features."""

    features: Features
    view: FittedMap
    x: np.ndarray
    anchor: Features
    layers: tuple[int, ...]


def see(
    lm: LanguageModel,
    texts: tuple[Sequence[Prompt], Sequence[str]],
    settings: HeadSettings,
    *,
    reference: Sequence[tuple[Prompt, str]] = (),
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> Seen:
    """Read the features of completions and fit the shared view; `reference` completions, or else these, anchor it."""
    depth = lm.causal.config.num_hidden_layers
    layers = tuple(max(1, min(depth, round(share * depth))) for share in settings.layers)
    features = read_features(lm, *texts, layers=layers, cache=cache, progress=progress)
    anchor = features
    if reference:
        prompts, completions = zip(*reference, strict=True)
        anchor = read_features(lm, prompts, completions, layers=layers, cache=cache)
    view = fit_map(settings.feature_map, features, directions=settings.directions)
    return Seen(features, view, view.apply(features), anchor, layers)


class SharedHeads(NamedTuple):
    """Named heads on one view: weights `theta` [d, k], and the `shift` [k] and `scale` [k] that standardise them."""

    names: tuple[str, ...]
    view: FittedMap
    theta: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    layers: tuple[int, ...]

    def score(self, features: Features) -> np.ndarray:
        """Standardised rewards [n, k]."""
        return np.asarray((self.view.apply(features) @ self.theta - self.shift) / self.scale)


def standardised(names: Sequence[str], theta: np.ndarray, seen: Seen) -> SharedHeads:
    """Heads with weights [d, k] whose rewards have mean 0 and s.d. 1 on the anchor completions."""
    raw = seen.view.apply(seen.anchor) @ theta
    scale = raw.std(0)
    return SharedHeads(tuple(names), seen.view, theta, raw.mean(0), np.where(scale > 0, scale, 1.0), seen.layers)


def require_enough(what: str, pairs: Pairs, group: np.ndarray) -> None:
    """Raise TrainingError when there are fewer than eight pairs or four prompts; `group` [rows] numbers the prompts."""
    prompts = len(np.unique(group[pairs.chosen])) if len(pairs.chosen) else 0
    if len(pairs.chosen) < LEAST_PAIRS or prompts < LEAST_PROMPTS:
        got = f"{len(pairs.chosen)} on {prompts}"
        expected = f"at least {LEAST_PAIRS} {what} on {LEAST_PROMPTS} prompts"
        raise TrainingError(explain(expected=expected, got=got, do="collect more, on more prompts, or leave it out"))


def save_heads(heads: SharedHeads, directory: Path, *, rest: dict[str, Any]) -> None:
    """Write `heads.safetensors` and `heads.json`; `rest` is plain data of the model that the heads belong to."""
    tensors = {"theta": heads.theta, "shift": heads.shift, "scale": heads.scale}
    tensors |= {"view.mean": heads.view.mean, "view.scale": heads.view.scale}
    for i, (centre, directions) in enumerate(zip(heads.view.centres, heads.view.directions, strict=True)):
        tensors |= {f"view.{i}.centre": centre, f"view.{i}.directions": directions}
    contiguous = {name: np.ascontiguousarray(tensor, dtype=np.float64) for name, tensor in tensors.items()}
    save_file(contiguous, directory / "heads.safetensors")
    blocks = len(heads.view.centres)
    plain = {"names": heads.names, "map": heads.view.name, "blocks": blocks, "layers": heads.layers, "rest": rest}
    (directory / "heads.json").write_text(json.dumps(plain, indent=1, sort_keys=True), encoding="utf-8")


def open_heads(directory: Path) -> tuple[SharedHeads, dict[str, Any]]:
    """Read what `save_heads` wrote. Raises StorageError when the directory holds no heads."""
    try:
        plain = json.loads((directory / "heads.json").read_text(encoding="utf-8"))
        found = load_file(directory / "heads.safetensors")
        blocks = range(plain["blocks"])
        view = FittedMap(
            name=plain["map"],
            centres=tuple(found[f"view.{i}.centre"] for i in blocks),
            directions=tuple(found[f"view.{i}.directions"] for i in blocks),
            mean=found["view.mean"],
            scale=found["view.scale"],
        )
        layers = tuple(plain["layers"])
        heads = SharedHeads(tuple(plain["names"]), view, found["theta"], found["shift"], found["scale"], layers)
        return heads, dict(plain["rest"])
    except (OSError, ValueError, KeyError) as error:
        expected = f"reward heads in {directory}"
        raise StorageError(explain(expected=expected, got=str(error), do="fit them again")) from error
