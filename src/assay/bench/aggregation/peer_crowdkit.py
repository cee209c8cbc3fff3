"""Peer script: crowd-kit's methods on arrays of judgements, run by crowd-kit's own Python, which has no Assay.

Run as a script with an input `.npz` (annotator, item_a, item_b, outcome, side), a comma-separated list of methods and
an output `.npz`; writes for each method the difference of each pair (`a` minus `b`, pairs as `first` and `second`), CPU
seconds, the peak MiB of the process, and the versions. Settings are crowd-kit's defaults. Pairwise methods know no
ties: those are left out for them.
"""

import resource
import sys
import time
import warnings
from importlib import import_module
from importlib.metadata import version

import numpy as np

CATEGORICAL = ("MajorityVote", "OneCoinDawidSkene", "DawidSkene", "MACE", "GLAD", "KOS")
PAIRWISE = ("BradleyTerry", "NoisyBradleyTerry")
SETTINGS = {
    "MACE": {"random_state": 0},
    "KOS": {"random_state": 0},
    "NoisyBradleyTerry": {"random_state": 0},
    "BradleyTerry": {"n_iter": 100},
}
"""Where a method has a default, it is that; rounds of Bradley-Terry have none."""


def main(source: str, names: str, target: str) -> None:
    """Fit the methods and write what they say of each pair."""
    aggregation, pd = import_module("crowdkit.aggregation"), import_module("pandas")
    given = np.load(source)
    a, b, outcome, side = (given[name] for name in ("item_a", "item_b", "outcome", "side"))
    keys, pair = np.unique(np.stack([a, b]), axis=1, return_inverse=True)
    first, second = keys
    pair = pair.ravel()
    label = np.where(outcome > 0, "a", np.where(outcome < 0, "b", "tie"))
    tasks = pd.DataFrame({"task": pair, "worker": given["annotator"], "label": label})
    decided = outcome != 0
    shown = pd.DataFrame(
        {
            "worker": given["annotator"],
            "left": np.where(side > 0, a, b),
            "right": np.where(side > 0, b, a),
            "label": np.where(outcome > 0, a, b),
        }
    )[decided]
    said = {"first": first, "second": second}
    warnings.simplefilter("ignore")
    for name in names.split(","):
        method = getattr(aggregation, name)(**SETTINGS.get(name, {}))
        started = time.process_time()
        if name in PAIRWISE:
            scores = method.fit_predict(shown)
            scores = scores.reindex(np.arange(max(a.max(), b.max()) + 1)).fillna(0.0).to_numpy()
            difference = scores[first] - scores[second]
        elif name == "KOS":
            # It knows two labels; without a preference either way a pair stays even.
            chosen = method.fit_predict(tasks[decided]).reindex(np.arange(len(first)))
            difference = np.where(chosen == "a", 1.0, np.where(chosen == "b", -1.0, 0.0))
        else:
            chances = method.fit_predict_proba(tasks).reindex(np.arange(len(first)))
            difference = (chances.get("a", 0.0) - chances.get("b", 0.0)).fillna(0.0).to_numpy()
        said[f"difference {name}"] = difference
        said[f"cpu_s {name}"] = time.process_time() - started
    said["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    said["versions"] = f"crowd-kit {version('crowd-kit')}, pandas {pd.__version__}"
    np.savez(target, **said)


if __name__ == "__main__":
    main(*sys.argv[1:4])
