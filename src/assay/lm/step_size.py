"""Step size: how an optimiser's step size rises and falls over a run."""

import math
from typing import Literal

Schedule = Literal["constant", "linear", "cosine"]


def step_size_factor(step: int, steps: int, *, warmup_ratio: float, kind: Schedule) -> float:
    """Factor in (0, 1] on the step size at `step` of `steps`: linear warm-up, then constant, or a fall to 0.

    `cosine` falls along half a cosine (Loshchilov and Hutter 2016, arXiv 1608.03983, without restarts).
    """
    warmup = math.ceil(warmup_ratio * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if kind == "constant":
        return 1.0
    left = (steps - step) / max(1, steps - warmup)
    return left if kind == "linear" else (1 - math.cos(math.pi * left)) / 2
