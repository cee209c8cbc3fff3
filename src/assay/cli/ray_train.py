"""Ray Train: `assay align ... --ray` runs the same command in workers of Ray, on one machine or on a cluster.

Ray makes the process group and the command takes it as it would take torchrun's. A cluster is the one that RAY_ADDRESS
names; all its machines have to see the workspace. Ray is an optional extra, and sends no usage statistics from here.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.alignment.distributed import LOST
from assay.cli.context import console
from assay.cli.processes import GO_ON, gravest
from assay.records.errors import AssayError, ConfigError, TrainingError, explain

QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


def start_under_ray(arguments: Sequence[str], count: int, *, scratch: Path) -> None:
    """Run `assay arguments` in `count` workers of Ray and wait for them; prints what the first of them said.

    Raises ConfigError where Ray is not installed, TrainingError with the cause in one sentence when a worker fails.
    """
    os.environ |= QUIET  # before Ray is imported, which reads it then
    try:
        import ray
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer
    except ImportError as error:
        do = "install it with `pip install 'assay[ray]'`, or take --processes without --ray"
        raise ConfigError(explain(expected="Ray for --ray", got=str(error), do=do)) from error
    address = os.environ.get("RAY_ADDRESS")
    local = {} if address else {"num_cpus": count, "include_dashboard": False}
    ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
    try:
        trainer = TorchTrainer(
            run_worker,
            train_loop_config={"arguments": list(arguments), "directory": str(Path.cwd())},
            scaling_config=ScalingConfig(num_workers=count, use_gpu=False),
            torch_config=TorchConfig(backend="gloo"),
            run_config=RunConfig(storage_path=str(scratch.resolve()), name="assay"),
        )
        console.print(str(trainer.fit().return_value), end="", markup=False)
    except ray.train.TrainingFailedError as error:
        raise TrainingError(cause(error)) from error
    finally:
        ray.shutdown()


def run_worker(config: dict[str, Any]) -> str:
    """The command in one worker; returns what it printed."""
    from assay.cli.app import app

    os.chdir(config["directory"])
    with console.capture() as said:
        app(config["arguments"], standalone_mode=False)
    return said.get()


def cause(error: Exception) -> str:
    """Why a run ended: what a worker said of its own, before that it lost another, before what Ray says."""
    failures: Mapping[int, Exception] = getattr(error, "worker_failures", {})
    told = [str(one) for one in failures.values() if isinstance(one, AssayError)]
    others = [str(one) for one in failures.values() if not isinstance(one, AssayError)]
    if told and (not others or LOST not in gravest(told)):
        return gravest(told)
    words = (others or [str(error)])[0].strip().splitlines() or ["no word of why"]
    return explain(expected="all of Ray's workers to finish", got=words[0], do=GO_ON)
