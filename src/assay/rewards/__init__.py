"""Rewards: takes preferences, yields rewards that state their uncertainty.

`features` reads frozen backbone states once and caches them, `feature_maps` gives each member its own view,
`bradley_terry` fits one head, `ensemble` holds the members, `aggregation` makes one number of them, `calibration` says
what a probability is worth, `outliers` says when a completion is unlike anything known, `training` puts it together.
"""

from assay.rewards.aggregation import AGGREGATIONS, aggregate
from assay.rewards.calibration import quality_report
from assay.rewards.ensemble import RewardEnsemble, RewardScores
from assay.rewards.feature_maps import FEATURE_MAPS
from assay.rewards.features import Features, read_features
from assay.rewards.outliers import OutlierModel, fit_outliers
from assay.rewards.training import RewardSettings, TrainedReward, train_reward

__all__ = [
    "AGGREGATIONS",
    "FEATURE_MAPS",
    "Features",
    "OutlierModel",
    "RewardEnsemble",
    "RewardScores",
    "RewardSettings",
    "TrainedReward",
    "aggregate",
    "fit_outliers",
    "quality_report",
    "read_features",
    "train_reward",
]
