"""Cost: CPU seconds and peak memory of the joint fit, each fit in a process of its own with one thread.

Takes numbers of judgements; yields the median of some runs. CPU seconds and not the clock's: a busy machine shows less.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import NamedTuple

from assay.records.errors import ConfigError, explain

SCRIPT = Path(__file__).with_name("cost_script.py")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
JUDGEMENTS_A_PROMPT = 30


class Cost(NamedTuple):
    """What one size took: medians over the runs, and every run's CPU seconds."""

    judgements: int
    cpu_s: float
    peak_mib: float
    iterations: int
    converged: bool
    runs: tuple[float, ...]


def fit_cost(judgements: int, *, runs: int, seed: int) -> Cost:
    """Measure the fit of about so many judgements. Raises ConfigError when the process fails."""
    told = [_run(-(-judgements // JUDGEMENTS_A_PROMPT), seed + number) for number in range(runs)]
    return Cost(
        judgements=int(told[0]["judgements"]),
        cpu_s=median(one["cpu_s"] for one in told),
        peak_mib=max(one["peak_mib"] for one in told),
        iterations=int(median(one["iterations"] for one in told)),
        converged=all(one["converged"] for one in told),
        runs=tuple(one["cpu_s"] for one in told),
    )


def _run(prompts: int, seed: int) -> dict[str, float]:
    done = subprocess.run(  # noqa: S603 (our own script under our own Python)
        [sys.executable, str(SCRIPT), str(prompts), str(seed)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **ONE_THREAD},
    )
    if done.returncode != 0:
        got, do = " ".join(done.stderr.split()[-30:]), "free some memory, or measure fewer judgements"
        raise ConfigError(explain(expected="the measured fit to end well", got=got, do=do))
    return dict(json.loads(done.stdout))
