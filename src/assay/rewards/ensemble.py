"""Ensemble: the members of a reward together: scores with their spread, saved as safetensors and JSON."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file

from assay.records.errors import StorageError, explain
from assay.rewards.aggregation import aggregate
from assay.rewards.feature_maps import FittedMap
from assay.rewards.features import Features
from assay.rewards.outliers import OutlierModel


class Member(NamedTuple):
    """One head: its view, its weights [d], and the shift and scale that make reference completions mean 0, s.d. 1."""

    view: FittedMap
    theta: np.ndarray
    shift: float
    scale: float

    def score(self, features: Features) -> np.ndarray:
        """Scaled reward [n]."""
        return np.asarray((self.view.apply(features) @ self.theta - self.shift) / self.scale)


class RewardScores(NamedTuple):
    """Scores of n completions: aggregated `reward` [n], `members` [n, k], s.d. `disagreement` [n], `outlier` [n]."""

    reward: np.ndarray
    members: np.ndarray
    disagreement: np.ndarray
    outlier: np.ndarray


class RewardEnsemble(NamedTuple):
    """A reward: members, how they are aggregated, the temperature of its probabilities, and its outlier model.

    `layers` are the backbone layers whose states its features need, lowest first.
    """

    members: tuple[Member, ...]
    aggregation: str
    temperature: float
    outliers: OutlierModel
    layers: tuple[int, ...]

    def score(self, features: Features) -> RewardScores:
        """Score completions by their features."""
        members = np.stack([member.score(features) for member in self.members], axis=1)
        return RewardScores(
            aggregate(members, self.aggregation), members, members.std(1), self.outliers.is_outlier(features)
        )

    def probability(self, first: Features, second: Features) -> np.ndarray:
        """Calibrated probability [n] that the first completion of each pair is better."""
        margin = self.score(first).reward - self.score(second).reward
        return np.asarray(1 / (1 + np.exp(-margin / self.temperature)))

    def with_aggregation(self, name: str) -> "RewardEnsemble":
        """The same members under another aggregation."""
        return self._replace(aggregation=name)

    def save(self, directory: Path) -> None:
        """Write `reward.safetensors` and `reward.json`."""
        tensors: dict[str, np.ndarray] = {
            "outliers.centre": self.outliers.centre,
            "outliers.directions": self.outliers.directions,
        }
        described = []
        for i, (view, theta, shift, scale) in enumerate(self.members):
            tensors |= {f"{i}.theta": theta, f"{i}.mean": view.mean, f"{i}.scale": view.scale}
            for j, (centre, directions) in enumerate(zip(view.centres, view.directions, strict=True)):
                tensors |= {f"{i}.{j}.centre": centre, f"{i}.{j}.directions": directions}
            described.append({"map": view.name, "shift": shift, "scale": scale})
        contiguous = {name: np.ascontiguousarray(tensor, dtype=np.float64) for name, tensor in tensors.items()}
        save_file(contiguous, directory / "reward.safetensors")
        plain = {
            "members": described,
            "aggregation": self.aggregation,
            "temperature": self.temperature,
            "layers": list(self.layers),
            "outlier_cut": self.outliers.cut,
        }
        (directory / "reward.json").write_text(json.dumps(plain, indent=1, sort_keys=True), encoding="utf-8")

    @classmethod
    def open(cls, directory: Path) -> "RewardEnsemble":
        """Read what `save` wrote. Raises StorageError when the directory holds no reward."""
        try:
            plain = json.loads((directory / "reward.json").read_text(encoding="utf-8"))
            tensors = load_file(directory / "reward.safetensors")
            members = tuple(_member(i, described, tensors) for i, described in enumerate(plain["members"]))
            outliers = OutlierModel(tensors["outliers.centre"], tensors["outliers.directions"], plain["outlier_cut"])
        except (OSError, ValueError, KeyError) as error:
            do = "train it again with `assay reward train`"
            raise StorageError(explain(expected=f"a reward in {directory}", got=str(error), do=do)) from error
        return cls(members, plain["aggregation"], plain["temperature"], outliers, tuple(plain["layers"]))


def _member(i: int, described: dict[str, object], tensors: dict[str, np.ndarray]) -> Member:
    blocks = sum(name.startswith(f"{i}.") and name.endswith(".directions") for name in tensors)
    view = FittedMap(
        name=str(described["map"]),
        centres=tuple(tensors[f"{i}.{j}.centre"] for j in range(blocks)),
        directions=tuple(tensors[f"{i}.{j}.directions"] for j in range(blocks)),
        mean=tensors[f"{i}.mean"],
        scale=tensors[f"{i}.scale"],
    )
    return Member(view, tensors[f"{i}.theta"], float(str(described["shift"])), float(str(described["scale"])))
