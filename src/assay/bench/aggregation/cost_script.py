"""Cost script: fits so many judgements in a process of its own and prints what it took, as one line of JSON.

Run as a script with the number of prompts (30 judgements each) and a seed. CPU seconds are those of turning arrays into
cells and of the fit with its standard errors; the peak is that of the whole process, imports and simulation included.
"""

import json
import resource
import sys
import time

from assay.bench.aggregation.worlds import usual
from assay.preferences.cells import cells_from
from assay.preferences.joint_fit import fit_jointly


def measured(prompts: int, seed: int) -> dict[str, float]:
    """CPU seconds, peak MiB, judgements, iterations, and 1 for a fit that converged."""
    world = usual(prompts, seed)
    started = time.process_time()
    cells = cells_from(world.annotator, world.item_a, world.item_b, world.outcome, world.side)
    fit = fit_jointly(cells)
    took = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "judgements": len(world.outcome),
        "cpu_s": took,
        "peak_mib": peak,
        "iterations": fit.iterations,
        "converged": float(fit.converged),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measured(int(sys.argv[1]), int(sys.argv[2]))))
