"""Trackers: TensorBoard, MLflow and wandb behind one small protocol, each writing below the run's own directory.

MLflow and wandb are extras. None sends anything to another machine unless the user's own environment names one
(`MLFLOW_TRACKING_URI`, `WANDB_MODE=online`): what they report of themselves is switched off before they are imported.
"""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from assay.records.errors import ConfigError, explain

TrackerName = Literal["tensorboard", "mlflow", "wandb"]
PROJECT = "assay"
"""Name of MLflow's experiment and of wandb's project, where the environment names none."""


class Tracked(NamedTuple):
    """What a tracker is told of a run: its name and settings, where to write, its clock, and the first step told."""

    name: str
    directory: Path
    settings: Mapping[str, Any]
    now: Callable[[], datetime]
    first_step: int = 1


class Tracker(Protocol):
    """Takes the numbers of a step by name."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Keep the values at a step; steps never fall."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class TensorBoard:
    """Event files in `tensorboard/`; what an interrupted run told beyond its last checkpoint is hidden on resume."""

    def __init__(self, run: Tracked) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = run.first_step if run.first_step > 1 else None
        self._writer: Any = SummaryWriter(str(run.directory / "tensorboard"), purge_step=purge)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """One scalar a value."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()


class MLflow:
    """A run of the experiment `assay` in `mlflow.db`, or where `MLFLOW_TRACKING_URI` points; one run over a resume."""

    def __init__(self, run: Tracked) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Metric

        self._metric, self._now = Metric, run.now
        run.directory.mkdir(parents=True, exist_ok=True)
        own = f"sqlite:///{(run.directory / 'mlflow.db').resolve()}"
        self._client: Any = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or own)
        known, name = run.directory / "mlflow-run", os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        if run.first_step > 1 and known.exists():
            self._run = known.read_text(encoding="utf-8")
            return
        found = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        self._run = self._client.create_run(experiment, run_name=run.name).info.run_id
        known.write_text(self._run, encoding="utf-8")
        for key, value in run.settings.items():
            self._client.log_param(self._run, key, value)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """All values in one request."""
        at = int(self._now().timestamp() * 1000)
        metrics = [self._metric(name, value, timestamp=at, step=step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run)


class Wandb:
    """A run of the project `assay`, offline in `wandb/` unless `WANDB_MODE` says otherwise."""

    def __init__(self, run: Tracked) -> None:
        os.environ.setdefault("WANDB_MODE", "offline")
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        run.directory.mkdir(parents=True, exist_ok=True)
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        self._run: Any = wandb.init(
            project=project,
            name=run.name,
            dir=str(run.directory),
            config=dict(run.settings),
            reinit="create_new",
            settings=wandb.Settings(silent=True),
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """All values of a step."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


OPENERS: Mapping[TrackerName, Callable[[Tracked], Tracker]] = MappingProxyType(
    {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": Wandb}
)


def require_installed(names: tuple[TrackerName, ...]) -> None:
    """Raise ConfigError, with all of them, for trackers whose package is not there."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        extras = ", ".join(f"`pip install 'assay[{name}]'`" for name in missing)
        do = f"{extras}, or leave {'it' if len(missing) == 1 else 'them'} out of report_to"
        raise ConfigError(explain(expected=f"{' and '.join(missing)} to be installed", got="nothing", do=do))
