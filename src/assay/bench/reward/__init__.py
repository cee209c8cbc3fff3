"""Reward benchmark: what the reward ensemble and the monitors cost, and what the ensemble is worth beside TRL's.

Takes real people's pairs and a language model, yields a measurement and the bars that it is held to.
`data` reads and divides the pairs, `cost` times members and monitors, `peer` runs TRL in a process of its own (the
script `peer_trl`), `judged` judges anybody's margins, `measurement` puts it together and holds the bars.
"""

from assay.bench.reward.cost import QUICK_LOOP
from assay.bench.reward.measurement import (
    FULL,
    QUICK,
    RewardMeasurement,
    RewardPlan,
    bars_of,
    bench_reward,
    speed_up,
)

__all__ = ["FULL", "QUICK", "QUICK_LOOP", "RewardMeasurement", "RewardPlan", "bars_of", "bench_reward", "speed_up"]
