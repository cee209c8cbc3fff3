"""Selection benchmark: how many labels choosing by information and new ground saves against drawing at random.

Takes pools of which all answers are known, yields curves of held-out accuracy by labels and what they save. `tasks` are
the pools, simulated or of real people; `learning` asks, fits and asks again; `measurement` compares and holds the bars.
"""

from assay.bench.selection.measurement import (
    FULL,
    QUICK,
    SelectionBenchPlan,
    SelectionMeasurement,
    bars_of,
    bench_selection,
)

__all__ = ["FULL", "QUICK", "SelectionBenchPlan", "SelectionMeasurement", "bars_of", "bench_selection"]
