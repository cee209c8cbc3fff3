"""Rewards: takes preferences, yields rewards that state their uncertainty.

`features` reads frozen backbone states once and caches them, `feature_maps` gives each member its own view,
`bradley_terry` fits one head, `debias` keeps it from following the surface, `ensemble` holds the members, `aggregation`
makes one number of them, `outliers` says when a completion is unlike anything known and charges for it, `shaping`
bounds what an optimiser sees, `calibration` says what a probability is worth, `training` puts it together under
`settings`, `recalibration` calibrates anew and `reliability_plot` draws what came out.

Imported by their modules: `attributes`, `groups`, `rules` and `cost` (other rewards on the same features; `cost_labels`
reads what a cost is fitted on), `tuning` (rewards with weights of their own), `kinds`, `learning`, `heads_learning`,
`calibrated_heads` and `stored` (a reward of any kind asked for, fitted, kept and opened again), `composite` (a sum of
named parts), `attribution`, `probes` and `discovery` (what a reward looks at, and what a policy learnt to say),
`posterior` (what a head does not know), `inference_time` (choosing among candidates), `serving` (rewards for other
trainers).
"""

from assay.rewards.aggregation import AGGREGATION_NAMES, AGGREGATIONS, aggregate
from assay.rewards.calibration import quality_report
from assay.rewards.ensemble import RewardEnsemble
from assay.rewards.feature_maps import FEATURE_MAPS
from assay.rewards.features import Features, read_features
from assay.rewards.outliers import OutlierModel, fit_outliers
from assay.rewards.recalibration import recalibrate
from assay.rewards.scores import RewardScores
from assay.rewards.settings import RewardSettings
from assay.rewards.training import TrainedReward, train_reward

__all__ = [
    "AGGREGATIONS",
    "AGGREGATION_NAMES",
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
    "recalibrate",
    "train_reward",
]
