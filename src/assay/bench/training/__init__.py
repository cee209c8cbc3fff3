"""Training benchmark: our trainers beside TRL's own, step by step: seconds, memory, and whether the losses are one.

`job` is what a run is asked and tells, `ours` and `peer_trl` are the scripts that do it in processes of their own
(`clock` times both), `running` makes a plan's jobs and runs them, `measurement` puts it together and holds the
bars.
"""

from assay.bench.training.measurement import TrainingMeasurement, bars_of, bench_training, second_epoch, speed_up
from assay.bench.training.running import Steps, TrainingPlan, quick

__all__ = [
    "Steps",
    "TrainingMeasurement",
    "TrainingPlan",
    "bars_of",
    "bench_training",
    "quick",
    "second_epoch",
    "speed_up",
]
