"""Scaling benchmark: tokens a second and peak memory against pairs a step, prompt length, completions and processes.

`job` is what one run is asked and tells, `texts` makes pairs of a wanted length, `memory` reads a process's, `ours` is
the script that runs a job in a process of its own (or several), `running` holds the plan and starts them, `measurement`
makes the table and the bars.
"""

from assay.bench.scaling.measurement import Row, bars_of, rows_of
from assay.bench.scaling.running import Measured, ScalingPlan, bench_scaling, quick

__all__ = ["Measured", "Row", "ScalingPlan", "bars_of", "bench_scaling", "quick", "rows_of"]
