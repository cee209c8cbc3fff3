"""Small worlds of the over-optimisation benchmark that tests share."""

from datetime import UTC, datetime

import numpy as np

from assay.bench.overoptimisation.measuring import draw_bench
from assay.bench.overoptimisation.plan import load_plan
from assay.bench.overoptimisation.world import WorldSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SMALL = WorldSettings(prompts=6, candidates=64, reference=512)
PLAN = load_plan()


def drawn(regime="hack", *, seed=0, settings=SMALL):
    """What arms see, the truth, and the reference's gold, of one seed."""
    return draw_bench(settings, PLAN.regimes[regime], np.random.default_rng(seed))
