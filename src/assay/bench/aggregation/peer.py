"""Peer run: hands judgements to crowd-kit in its own Python and reads back its differences and CPU seconds."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.bench.aggregation.cost import ONE_THREAD
from assay.bench.aggregation.worlds import World
from assay.records.errors import ConfigError, explain

SCRIPT = Path(__file__).with_name("peer_crowdkit.py")
TIMEOUT_S = 3600.0
QUICK_METHODS = ("MajorityVote", "OneCoinDawidSkene", "DawidSkene", "KOS", "BradleyTerry")
ALL_METHODS = (*QUICK_METHODS, "GLAD", "MACE", "NoisyBradleyTerry")
TIMED = ("BradleyTerry", "GLAD", "MACE", "NoisyBradleyTerry")


class PeerRun(NamedTuple):
    """What crowd-kit said: pairs as completions `first` and `second`, by method the differences and CPU seconds."""

    first: np.ndarray
    second: np.ndarray
    difference: dict[str, np.ndarray]
    cpu_s: dict[str, float]
    peak_mib: float
    versions: str


def run_crowdkit(python: Path, world: World, methods: Sequence[str]) -> PeerRun:
    """One process that runs the methods in turn. Raises ConfigError, with the peer's last words, when it fails."""
    do = "give --peer-python a Python with crowd-kit==1.4.2"
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "in.npz", Path(scratch) / "out.npz"
        arrays = {name: getattr(world, name) for name in ("annotator", "item_a", "item_b", "outcome", "side")}
        np.savez(source, **arrays)
        command = [str(python), str(SCRIPT), str(source), ",".join(methods), str(target)]
        try:
            environment = {**os.environ, **ONE_THREAD}
            done = subprocess.run(  # noqa: S603 (our own script under the user's own Python)
                command, capture_output=True, text=True, check=False, env=environment, timeout=TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(explain(expected="a run of crowd-kit", got=str(error), do=do)) from error
        if done.returncode != 0 or not target.exists():
            words = " ".join((done.stdout + done.stderr).split()[-40:])
            raise ConfigError(explain(expected="crowd-kit to finish", got=words or f"exit {done.returncode}", do=do))
        with np.load(target) as told:
            return PeerRun(
                first=told["first"],
                second=told["second"],
                difference={name: told[f"difference {name}"] for name in methods},
                cpu_s={name: float(told[f"cpu_s {name}"]) for name in methods},
                peak_mib=float(told["peak_mib"]),
                versions=str(told["versions"]),
            )
