"""Policy benchmark: real token policies, trained by the project's own optimiser against rewards that can be hacked.

Takes seeds, yields what each arm keeps of the gold that it could have had, with the hacks that it spreads.
`instructions` is the small world's language, `base` the transformer that learns it, `labels` the people, `arms` and
`running` what is compared and how it runs, `peers` what TRL makes of the same labels; `gold` is what answers are worth,
which `seeds`, where a whole seed is put together, and `measuring` alone may read; `summary` makes rows and bars of the
outcomes.
"""

from assay.bench.policy.seeds import PolicySettings, SeedOutcome, run_seed, run_seeds
from assay.bench.policy.summary import Row, bars_of, gap_to_wco, rows_of

__all__ = ["PolicySettings", "Row", "SeedOutcome", "bars_of", "gap_to_wco", "rows_of", "run_seed", "run_seeds"]
