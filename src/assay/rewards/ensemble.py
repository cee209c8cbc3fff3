"""Ensemble: the members of a reward together: scores with their spread, saved as safetensors and JSON.

A member's raw reward is its head on its view, without what the surface tells of the view (`debias.nuisance`) and
without the mean for the completion's length (`debias.loess`) where it was trained so. The members' rewards are scaled,
made one (`aggregation`), charged for lying outside the reference (`outliers`), and shaped (`shaping`), in this order.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from safetensors.numpy import load_file, save_file

from assay.records.errors import ConfigError, StorageError, explain
from assay.records.reward import RewardKind
from assay.rewards.aggregation import WARM, aggregate, average_weights
from assay.rewards.calibration import Calibrator, IsotonicMap
from assay.rewards.debias.loess import LengthCurve
from assay.rewards.debias.nuisance import Residualiser
from assay.rewards.feature_maps import FittedMap
from assay.rewards.features import SURFACE_NAMES, Features
from assay.rewards.outliers import OutlierModel
from assay.rewards.protocol import Texts
from assay.rewards.scores import RewardScores
from assay.rewards.shaping import Shaping

LENGTH = SURFACE_NAMES.index("log_words")


class Surface(NamedTuple):
    """Named surface columns, and what they tell of a member's view."""

    columns: tuple[str, ...]
    residualiser: Residualiser

    def removed(self, x: np.ndarray, features: Features) -> np.ndarray:
        """The view [n, d] without it."""
        return self.residualiser.apply(x, surface_columns(features, self.columns))


class Member(NamedTuple):
    """One head: its view, its weights [d], and the shift and scale that make reference completions mean 0, s.d. 1."""

    view: FittedMap
    theta: np.ndarray
    shift: float
    scale: float
    surface: Surface | None = None
    curve: LengthCurve | None = None

    def seen(self, features: Features) -> np.ndarray:
        """What the head is put on [n, d]: the view, without what the surface tells of it."""
        x = self.view.apply(features)
        return x if self.surface is None else self.surface.removed(x, features)

    def raw(self, features: Features) -> np.ndarray:
        """Reward [n] before it is scaled."""
        values = self.seen(features) @ self.theta
        return values if self.curve is None else self.curve.residual(values, features.surface[:, LENGTH])

    def score(self, features: Features) -> np.ndarray:
        """Scaled reward [n]."""
        return np.asarray((self.raw(features) - self.shift) / self.scale)


class RewardEnsemble(NamedTuple):
    """A reward: members, how they are aggregated, the temperature of its probabilities, and its outlier model.

    `layers` are the backbone layers whose states its features need, lowest first. `outlier_weight` is what one s.d.
    beyond the reference costs. `anchor` [m, k] are the members' rewards of reference completions that `shaping`
    compares with, None without shaping; `isotonic`, where there is one, stands in for the temperature.
    """

    members: tuple[Member, ...]
    aggregation: str
    temperature: float
    outliers: OutlierModel
    layers: tuple[int, ...]
    outlier_weight: float = 0.0
    shaping: Shaping = Shaping()
    anchor: np.ndarray | None = None
    isotonic: IsotonicMap | None = None

    def score(self, features: Features) -> RewardScores:
        """Score completions by their features. Raises ConfigError for `warm` over members of different views."""
        members = np.stack([member.score(features) for member in self.members], axis=1)
        reward = self._combined(members)
        if self.outlier_weight > 0:
            reward = reward - self.outlier_weight * self.outliers.penalty(features)
        ceiling = None
        if self.anchor is not None:
            reference = self._combined(self.anchor)
            reward, ceiling = self.shaping.apply(reward, reference), self.shaping.ceiling(reference)
        return RewardScores(reward, members, members.std(1), self.outliers.is_outlier(features), ceiling=ceiling)

    def score_on(self, texts: Texts) -> RewardScores:
        """Score texts by their features."""
        return self.score(texts.features(self.layers))

    @property
    def kind(self) -> RewardKind:
        """The form that it is stored in."""
        return "ensemble"

    def unshaped(self) -> "RewardEnsemble":
        """The same reward before shaping: what margins and probabilities are taken from."""
        return self._replace(shaping=Shaping(), anchor=None)

    def probability(self, first: Features, second: Features) -> np.ndarray:
        """Calibrated probability [n] that the first completion of each pair is better."""
        plain = self.unshaped()
        margin = plain.score(first).reward - plain.score(second).reward
        return np.asarray(1 / (1 + np.exp(-self.calibrator.logits(margin))))

    @property
    def calibrator(self) -> Calibrator:
        """How margins of this reward become probabilities."""
        return Calibrator(self.temperature, self.isotonic)

    def calibrated(self, calibrator: Calibrator) -> "RewardEnsemble":
        """The same reward under another calibration."""
        return self._replace(temperature=calibrator.temperature, isotonic=calibrator.isotonic)

    def with_aggregation(self, name: str) -> "RewardEnsemble":
        """The same members under another aggregation; calibration stays that of the old one."""
        return self._replace(aggregation=name)

    def weight_average(self) -> Member:
        """One member with the mean of all weights (WARM), scaled as `warm` scales: one head does the work of all.

        Raises ConfigError where members differ in their view or in what is taken out of it.
        """
        first = self.members[0]
        if not self.shares_view:
            do = "give all members one feature map and no length curve, or choose another aggregation"
            raise ConfigError(explain(expected="members that share one view", got="different views", do=do))
        return first._replace(
            theta=average_weights(np.stack([member.theta for member in self.members])),
            shift=float(np.mean([member.shift for member in self.members])),
            scale=float(np.mean([member.scale for member in self.members])),
        )

    @property
    def shares_view(self) -> bool:
        """Whether all members see the same, so that their weights may be averaged."""
        first, *others = self.members
        return first.curve is None and all(
            other.curve is None and _same(first.view, other.view) and _same(first.surface, other.surface)
            for other in others
        )

    def _combined(self, members: np.ndarray) -> np.ndarray:
        """One reward [n] of the members' [n, k]."""
        is_warm = self.aggregation == WARM and self.shares_view
        scales = np.array([member.scale for member in self.members]) if is_warm else None
        return aggregate(members, self.aggregation, scales=scales)

    def save(self, directory: Path) -> None:
        """Write `reward.safetensors` and `reward.json`; what is off leaves no trace in them."""
        tensors: dict[str, np.ndarray] = {
            "outliers.centre": self.outliers.centre,
            "outliers.directions": self.outliers.directions,
        }
        described = []
        for i, member in enumerate(self.members):
            tensors |= _member_tensors(i, member)
            surface = {} if member.surface is None else {"surface": list(member.surface.columns)}
            described.append({"map": member.view.name, "shift": member.shift, "scale": member.scale, **surface})
        plain: dict[str, Any] = {
            "members": described,
            "aggregation": self.aggregation,
            "temperature": self.temperature,
            "layers": list(self.layers),
            "outlier_cut": self.outliers.cut,
        }
        if self.outlier_weight:
            plain["outlier_weight"] = self.outlier_weight
        if self.anchor is not None:
            plain["shaping"] = self.shaping._asdict()
            tensors["anchor"] = self.anchor
        if self.isotonic is not None:
            tensors |= _named("isotonic", self.isotonic)
        contiguous = {name: np.ascontiguousarray(tensor, dtype=np.float64) for name, tensor in tensors.items()}
        save_file(contiguous, directory / "reward.safetensors")
        (directory / "reward.json").write_text(json.dumps(plain, indent=1, sort_keys=True), encoding="utf-8")

    @classmethod
    def open(cls, directory: Path) -> "RewardEnsemble":
        """Read what `save` wrote. Raises StorageError when the directory holds no reward."""
        try:
            plain = json.loads((directory / "reward.json").read_text(encoding="utf-8"))
            tensors = load_file(directory / "reward.safetensors")
            return cls(
                members=tuple(_member(i, described, tensors) for i, described in enumerate(plain["members"])),
                aggregation=plain["aggregation"],
                temperature=plain["temperature"],
                outliers=OutlierModel(tensors["outliers.centre"], tensors["outliers.directions"], plain["outlier_cut"]),
                layers=tuple(plain["layers"]),
                outlier_weight=plain.get("outlier_weight", 0.0),
                shaping=Shaping(**plain.get("shaping", {})),
                anchor=tensors.get("anchor"),
                isotonic=_optional(IsotonicMap, "isotonic", tensors),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            do = "train it again with `assay reward train`"
            raise StorageError(explain(expected=f"a reward in {directory}", got=str(error), do=do)) from error


def surface_columns(features: Features, names: Sequence[str]) -> np.ndarray:
    """The named columns [n, q] of the texts' surface."""
    return features.surface[:, [SURFACE_NAMES.index(name) for name in names]]


def _member_tensors(i: int, member: Member) -> dict[str, np.ndarray]:
    view = member.view
    tensors = {f"{i}.theta": member.theta, f"{i}.mean": view.mean, f"{i}.scale": view.scale}
    for j, (centre, directions) in enumerate(zip(view.centres, view.directions, strict=True)):
        tensors |= {f"{i}.{j}.centre": centre, f"{i}.{j}.directions": directions}
    if member.surface is not None:
        tensors |= _named(f"{i}.residualiser", member.surface.residualiser)
    if member.curve is not None:
        tensors |= _named(f"{i}.curve", member.curve)
    return tensors


def _member(i: int, described: dict[str, Any], tensors: dict[str, np.ndarray]) -> Member:
    blocks = sum(name.startswith(f"{i}.") and name.endswith(".directions") for name in tensors)
    view = FittedMap(
        name=str(described["map"]),
        centres=tuple(tensors[f"{i}.{j}.centre"] for j in range(blocks)),
        directions=tuple(tensors[f"{i}.{j}.directions"] for j in range(blocks)),
        mean=tensors[f"{i}.mean"],
        scale=tensors[f"{i}.scale"],
    )
    residualiser = _optional(Residualiser, f"{i}.residualiser", tensors)
    return Member(
        view=view,
        theta=tensors[f"{i}.theta"],
        shift=float(described["shift"]),
        scale=float(described["scale"]),
        surface=None if residualiser is None else Surface(tuple(described["surface"]), residualiser),
        curve=_optional(LengthCurve, f"{i}.curve", tensors),
    )


def _named(name: str, parts: IsotonicMap | Residualiser | LengthCurve) -> dict[str, np.ndarray]:
    return {f"{name}.{field}": tensor for field, tensor in parts._asdict().items()}


P = TypeVar("P", IsotonicMap, Residualiser, LengthCurve)


def _optional(kind: type[P], name: str, tensors: dict[str, np.ndarray]) -> P | None:
    """The named parts of a reward, or None where it was saved without them."""
    is_here = any(key.startswith(f"{name}.") for key in tensors)
    return kind(*(tensors[f"{name}.{field}"] for field in kind._fields)) if is_here else None


def _same(one: Any, other: Any) -> bool:
    """Whether two views, or two parts of members, are equal in every array."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else one == other
