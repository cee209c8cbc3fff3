"""Settings of a reward: what a recipe may ask of it, with everything beyond a plain ensemble off by default."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from assay.records.record import Value
from assay.rewards.aggregation import AGGREGATION_NAMES, WARM
from assay.rewards.debias.settings import DebiasSettings
from assay.rewards.feature_maps import FEATURE_MAPS, is_map
from assay.rewards.shaping import ShapingName


class OutlierSettings(Value):
    """What lies outside the reference's completions, and what it costs."""

    weight: float = Field(default=0.0, ge=0)
    """What one s.d. beyond the reference takes off the reward, in reference s.d.; 0 only reports outliers."""
    space: Literal["states", "latent"] = "states"
    """Where distance is measured: leading directions of the states, or the latent that people's choices need."""
    directions: int = Field(default=16, ge=1)
    """Directions that the distance looks at, at most."""
    quantile: float = Field(default=0.99, gt=0, lt=1)
    """Share of reference completions inside the cut."""
    shrinkage: float = Field(default=0.0, ge=0, lt=1)
    """Share of the way that each direction's variance is moved to their mean."""
    latent: int = Field(default=4, ge=1)
    """Width of the latent."""
    beta: float = Field(default=0.01, gt=0)
    """Price of a nat in the latent; more leaves fewer directions."""


class ShapingSettings(Value):
    """The last thing done to the reward."""

    name: ShapingName = "none"
    """none, par (mean sigmoid against reference rewards), clip or whiten."""
    slope: float = Field(default=1.0, gt=0)
    """Steepness of PAR, an s.d. of the reference."""
    limit: float = Field(default=3.0, gt=0)
    """Reach of clip, in s.d. of the reference."""
    references: int = Field(default=32, ge=2)
    """Reference rewards kept to compare with."""


class RewardSettings(Value):
    """Settings of a reward ensemble."""

    feature_maps: tuple[str, ...] = ("mean-low+surface", "last-low", "mean-high", "last-high", "mean-last+surface")
    """One feature map a member; their number is the number of members. `+surface` adds the text's surface (length,
    lists, marks): members with and without it disagree where only the surface speaks for a completion."""
    layers: tuple[float, float] = (0.3, 0.5)
    """Depth of the lower and higher layer whose states are read, as shares of the backbone's depth."""
    directions: int = Field(default=24, ge=1)
    """Principal directions that each block of states keeps."""
    ridge: float = Field(default=0.02, gt=0)
    """Ridge penalty of each head."""
    sum_to_zero: float = Field(default=0.01, ge=0)
    """Weight of the sum-to-zero term."""
    aggregation: str = "uwo"
    """How members become one reward: single, mean, wco, uwo, entropic, or warm where all have one feature map."""
    calibration_share: float = Field(default=0.25, gt=0, lt=1)
    """Share of prompts held out of the fit for temperature and quality."""
    debias: DebiasSettings = DebiasSettings()
    """What is done against a reward that follows the surface."""
    outliers: OutlierSettings = OutlierSettings()
    """What lies outside the reference's completions, and what it costs."""
    shaping: ShapingSettings = ShapingSettings()
    """The last thing done to the reward."""

    @field_validator("feature_maps")
    @classmethod
    def _maps_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(name for name in value if not is_map(name))
        if unknown or not value:
            raise ValueError(f"expected names among {sorted(FEATURE_MAPS)}, or with +surface; got {unknown or 'none'}")
        return value

    @field_validator("aggregation")
    @classmethod
    def _aggregation_exists(cls, value: str) -> str:
        if value not in AGGREGATION_NAMES:
            raise ValueError(f"expected one of {sorted(AGGREGATION_NAMES)}; got {value!r}")
        return value

    @model_validator(mode="after")
    def _warm_has_one_view(self) -> Self:
        if self.aggregation == WARM and (len(set(self.feature_maps)) > 1 or self.debias.length_span > 0):
            raise ValueError("expected one feature map, repeated, and no length_span for warm; got members that differ")
        return self
