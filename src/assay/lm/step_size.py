"""Step size: how an optimiser's step size rises and falls over a run."""

import math
from typing import Literal

Schedule = Literal["constant", "linear"]


def step_size_factor(step: int, steps: int, *, warmup_ratio: float, kind: Schedule) -> float:
    """Factor in (0, 1] on the step size at `step` of `steps`: linear warm-up, then constant or a linear fall."""
    warmup = math.ceil(warmup_ratio * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 1.0 if kind == "constant" else (steps - step) / max(1, steps - warmup)
