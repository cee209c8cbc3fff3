"""Export: a run as a directory for another trainer on a cluster: data, settings, the reward, and how to launch it.

Takes the records and settings that a run here would take; writes for TRL 1.16 (`trl_launch`), verl 0.9
(`verl_launch`) or OpenRLHF 0.11 (`openrlhf_launch`), the whole directory or nothing. What the other trainer does
otherwise stands in `export.json` under `differences`; what it cannot do at all is refused.

Does not carry over: monitors, and what they may stop. TRL takes them through `MonitorCallback`
(`assay.alignment.transformers_callback`); the others have no such place.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from assay.alignment.exchange import openrlhf_launch, trl_launch, verl_launch
from assay.alignment.exchange.job import Bundle, Job, refuse
from assay.alignment.exchange.rows import Peer
from assay.alignment.settings import GrpoSettings
from assay.records.provenance import Provenance
from assay.storage.artifacts import write_directory

MODEL = "model"
"""Where an export keeps the policy that the run begins with, where that is no model by itself."""
BUNDLES: Mapping[Peer, Callable[[Job], Bundle]] = {
    "trl": trl_launch.bundle,
    "verl": verl_launch.bundle,
    "openrlhf": openrlhf_launch.bundle,
}


def bundle_for(peer: Peer, job: Job) -> Bundle:
    """The export of a job. Raises ConfigError with every setting that the trainer has no counterpart for."""
    faults = []
    if isinstance(job.settings, GrpoSettings) and job.settings.constraints:
        faults.append("constraints: nothing there would hold them")
    if isinstance(job.settings, GrpoSettings) and job.settings.support_epsilon is not None:
        faults.append("support_epsilon: nothing there puts unsupported completions at the floor")
    if getattr(job.settings, "load_best_model_at_end", False):
        faults.append("load_best_model_at_end: there is no watch panel there")
    if faults:
        refuse(peer, faults)
    return BUNDLES[peer](job)


def write_bundle(
    directory: Path, bundle: Bundle, provenance: Provenance, *, model: Callable[[Path], object] | None = None
) -> None:
    """Write a bundle with `export.json` beside its files; `model` fills a directory of that name beside them.

    Raises InputError where there is something already, StorageError when the disk refuses; nothing is half-written.
    """
    about = {**provenance.model_dump(), "differences": list(bundle.differences)}
    files = bundle.files | {"export.json": json.dumps(about, indent=1, ensure_ascii=False).encode() + b"\n"}

    def fill(new: Path) -> None:
        for name, data in files.items():
            (new / name).parent.mkdir(exist_ok=True)
            (new / name).write_bytes(data)
        if model is not None:
            (new / MODEL).mkdir()
            model(new / MODEL)
        (new / "launch.sh").chmod(0o755)

    write_directory(directory, fill)
