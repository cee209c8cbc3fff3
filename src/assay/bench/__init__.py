"""Bench: takes the other rooms as they are, yields measurements of what the project claims.

One file a claim: `walk` (seconds a stage, memory, tokens a second, gold kept); `bars` is the convention that all of
them share: a table for people, `--json` with every bar, its value, its threshold and whether it holds.
"""

from assay.bench.bars import Bar, bars_as_json
from assay.bench.walk import WalkMeasurement, bench_walk

__all__ = ["Bar", "WalkMeasurement", "bars_as_json", "bench_walk"]
