"""Presets: the seeds that were set apart, and a run so small that it only shows that everything works."""

from assay.bench.policy.base import BaseSettings
from assay.bench.policy.running import LOOP
from assay.bench.policy.seeds import PolicySettings

FIRST_SEED = 1000
"""Seeds from here on are for reporting; constants were chosen on seeds below."""
QUICK = PolicySettings(
    base=BaseSettings(width=32, layers=2, heads=2, demonstrations=512),
    loop=LOOP.model_copy(update={"rounds": 2, "num_generations": 2, "max_completion_length": 16}),
    loop_prompts=8,
    watch_prompts=16,
    answers=4,
    candidates=8,
    fresh=4,
)
"""Under a minute; its numbers say nothing."""
