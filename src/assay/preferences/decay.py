"""Decay: weights by which recent judgements count more, for expectations that move.

Takes judgements; yields weights that halve with each half-life of age, measured from the last judgement and not from
the clock, so that the same judgements give the same weights on any day. Errors grow accordingly: a fit with weights
treats a judgement of weight one half as half a judgement.
"""

from collections.abc import Sequence

import numpy as np

from assay.preferences.table import Floats
from assay.records.errors import ConfigError, explain
from assay.records.judgement import Judgement

SECONDS_A_DAY = 86_400.0


def decay_weights(judgements: Sequence[Judgement], *, half_life_days: float) -> Floats:
    """0.5 ** (age / half-life), age before the last judgement. Raises ConfigError for a half-life not above 0."""
    if not half_life_days > 0:
        do = "give it in days, such as 90"
        raise ConfigError(explain(expected="a half-life above 0 days", got=f"{half_life_days:g}", do=do))
    said = days_of(judgements)
    return np.asarray(0.5 ** ((said.max() - said) / half_life_days), dtype=np.float64)


def days_of(judgements: Sequence[Judgement]) -> Floats:
    """When each was said, in days since 1970."""
    return np.array([judgement.created_at.timestamp() for judgement in judgements]) / SECONDS_A_DAY
