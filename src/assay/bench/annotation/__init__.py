"""Annotation benchmark: how fast the site takes answers from many people, and that it loses and doubles none.

The site runs as `assay feedback serve` does, over real HTTP, in processes of its own (`server`); annotators (`crowd`,
and the script `visitors` that plays some of them) log in, agree and answer page by page with the tokens of their forms.
`campaign` opens the items, `reckoning` compares what people were told with what is stored, `measurement` puts it
together, kills the site in between, and holds the bars.
"""

from assay.bench.annotation.measurement import (
    FULL,
    QUICK,
    AnnotationMeasurement,
    AnnotationPlan,
    bars_of,
    bench_annotation,
)

__all__ = ["FULL", "QUICK", "AnnotationMeasurement", "AnnotationPlan", "bars_of", "bench_annotation"]
