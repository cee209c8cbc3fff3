"""Aggregation benchmark: what adding judgements up costs, whom it sees through, and whose dissent it finds.

Takes simulated panels of which the truth is known, yields a measurement and the bars it is held to. `worlds` are the
panels, one like the model and four unlike it; `order` judges the order of pairs and the kinds of people, `cost` times
the fit in a process of its own (the script `cost_script`), `minority` plants groups that differ, `peer` runs crowd-kit
in its own Python (the script `peer_crowdkit`), `measurement` puts it together and holds the bars.
"""

from assay.bench.aggregation.measurement import (
    FULL,
    QUICK,
    AggregationMeasurement,
    AggregationPlan,
    bars_of,
    bench_aggregation,
)

__all__ = ["FULL", "QUICK", "AggregationMeasurement", "AggregationPlan", "bars_of", "bench_aggregation"]
