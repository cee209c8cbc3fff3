"""Calibrated heads: attribute heads, group heads or a cost, with the calibration of their margins, as they are stored.

Written as what the model itself writes (`heads.json`, `heads.safetensors`) and `reward.json`, which tags the kind and
holds the calibration. Nothing is told apart as unlike anything known, and nothing is shaped: neither an outlier model
nor a shaping stands behind these heads.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, ValidationError

from assay.records.errors import StorageError, explain
from assay.records.record import Value
from assay.rewards.attributes import AttributeReward
from assay.rewards.calibration import Calibrator, IsotonicMap
from assay.rewards.cost import CostModel
from assay.rewards.features import Features
from assay.rewards.groups import GroupReward
from assay.rewards.heads import SharedHeads
from assay.rewards.protocol import Texts
from assay.rewards.scores import RewardScores

HeadsKind = Literal["attributes", "groups", "cost"]
HeadsModel = AttributeReward | GroupReward | CostModel

MODELS: Mapping[HeadsKind, type[AttributeReward] | type[GroupReward] | type[CostModel]] = {
    "attributes": AttributeReward,
    "groups": GroupReward,
    "cost": CostModel,
}
FILE = "reward.json"


class Curve(Value):
    """An isotonic calibration as plain numbers."""

    margins: tuple[float, ...] = Field(min_length=1)
    probabilities: tuple[float, ...] = Field(min_length=1)


class HeadsForm(Value):
    """What `reward.json` holds: the tag, and the calibration."""

    kind: HeadsKind
    temperature: float = Field(gt=0)
    isotonic: Curve | None = None


class CalibratedHeads(NamedTuple):
    """A model on shared heads and how its margins become probabilities."""

    kind: HeadsKind
    model: HeadsModel
    calibrator: Calibrator = Calibrator()

    @property
    def heads(self) -> SharedHeads:
        """The heads themselves."""
        return self.model.head if isinstance(self.model, CostModel) else self.model.heads

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the backbone layers whose states are read."""
        return self.model.layers

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the heads."""
        return self.heads.names

    @property
    def aggregation(self) -> str:
        """How the heads become one reward: their weighted sum, `mean` or `worst_off`, or the single cost."""
        if isinstance(self.model, GroupReward):
            return self.model.combination
        return "weighted" if isinstance(self.model, AttributeReward) else "single"

    def score(self, features: Features) -> RewardScores:
        """Scores of n completions by their features."""
        return self.model.score(features)

    def score_on(self, texts: Texts) -> RewardScores:
        """Score texts by their features."""
        return self.score(texts.features(self.layers))

    def unshaped(self) -> "CalibratedHeads":
        """The same: no shaping stands behind these heads."""
        return self

    def calibrated(self, calibrator: Calibrator) -> "CalibratedHeads":
        """The same reward under another calibration."""
        return self._replace(calibrator=calibrator)

    def with_aggregation(self, name: str) -> "CalibratedHeads":
        """The same: heads that speak of different things are no estimates of one, and keep their own combination."""
        return self

    def save(self, directory: Path) -> None:
        """Write heads, tag and calibration."""
        self.model.save(directory)
        curve = self.calibrator.isotonic
        isotonic = None if curve is None else Curve(**{name: part.tolist() for name, part in curve._asdict().items()})
        form = HeadsForm(kind=self.kind, temperature=self.calibrator.temperature, isotonic=isotonic)
        plain = json.dumps(form.model_dump(mode="json", exclude_none=True), indent=1, sort_keys=True)
        (directory / FILE).write_text(plain, encoding="utf-8")

    @classmethod
    def open(cls, directory: Path) -> "CalibratedHeads":
        """Read what `save` wrote. Raises StorageError where a file is missing or its parts do not fit together."""
        try:
            form = HeadsForm.model_validate_json((directory / FILE).read_bytes())
        except (OSError, ValidationError) as error:
            raise _damaged(directory, str(error)) from error
        try:
            model = MODELS[form.kind].open(directory)
        except (KeyError, TypeError) as error:
            raise _damaged(directory, f"{form.kind} without {error}") from error
        found = cls(form.kind, model, _calibrator(form))
        faults = _faults(found)
        if faults:
            raise _damaged(directory, "; ".join(faults))
        return found


def _calibrator(form: HeadsForm) -> Calibrator:
    curve = form.isotonic
    if curve is None:
        return Calibrator(form.temperature)
    return Calibrator(form.temperature, IsotonicMap(np.array(curve.margins), np.array(curve.probabilities)))


def _faults(found: CalibratedHeads) -> list[str]:
    """Where heads and what is made of them do not fit."""
    heads, model = found.heads, found.model
    count = len(heads.names)
    sizes = {"theta": heads.theta.shape[1:], "shift": heads.shift.shape, "scale": heads.scale.shape}
    if isinstance(model, AttributeReward):
        sizes["weights"] = model.weights.shape
    faults = [f"{name} for {shape} heads, not {count}" for name, shape in sizes.items() if shape != (count,)]
    if isinstance(model, GroupReward) and model.combination not in ("mean", "worst_off"):
        faults.append(f"combination {model.combination!r}")
    if isinstance(model, CostModel) and count != 1:
        faults.append(f"{count} costs")
    curve = found.calibrator.isotonic
    if curve is not None and len(curve.margins) != len(curve.probabilities):
        faults.append(f"a curve of {len(curve.margins)} margins and {len(curve.probabilities)} probabilities")
    return faults


def _damaged(directory: Path, got: str) -> StorageError:
    do = "train it again with `assay reward train`"
    return StorageError(explain(expected=f"reward heads in {directory}", got=got, do=do))
