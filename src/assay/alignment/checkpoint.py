"""Checkpoint: everything a killed run needs to go on as if nothing had happened, as safetensors and JSON, never pickle.

A checkpoint directory appears whole or not at all (written beside, then renamed).
"""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

from assay.alignment.distributed import Group
from assay.lm import LanguageModel, save_adapter
from assay.lm.adapters import policy_parameters, restore_weights
from assay.records.errors import StorageError, TrainingError, explain


class Restored(NamedTuple):
    """Where a resumed run stands: steps done, its log so far, and what the method and its observer had kept."""

    step: int
    log: list[dict[str, float]]
    extra: dict[str, Any]


def save_checkpoint(
    directory: Path,
    lm: LanguageModel,
    optimizer: torch.optim.Optimizer,
    *,
    step: int,
    log: list[dict[str, float]],
    extra: dict[str, Any],
    fingerprint: str,
    keep: int = 1,
) -> Path:
    """Write `checkpoint-STEP` and leave `keep` of this run, the newest. Raises StorageError when the disk refuses."""
    target = directory / f"checkpoint-{step}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=directory))
        try:
            save_adapter(lm, new)
            save_file(_optimizer_tensors(lm, optimizer), new / "optimizer.safetensors")
            state = {"global_step": step, "log_history": log, "extra": extra, "fingerprint": fingerprint}
            (new / "trainer_state.json").write_text(json.dumps(state, sort_keys=True), encoding="utf-8")
            if target.exists():
                shutil.rmtree(target)
            os.replace(new, target)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        there = _checkpoints(directory)
        place = there.index(target)
        for other in (*there[: max(0, place + 1 - keep)], *there[place + 1 :]):  # later ones are an earlier run's
            shutil.rmtree(other, ignore_errors=True)
    except OSError as error:
        do = "free disk space, then run again with --resume; the checkpoint before this one is whole"
        raise StorageError(explain(expected=f"to write {target.name}", got=str(error), do=do)) from error
    return target


def restore_checkpoint(
    directory: Path, lm: LanguageModel, optimizer: torch.optim.Optimizer, *, fingerprint: str
) -> Restored | None:
    """Put the last checkpoint's weights and optimiser state back, bit for bit; None when there is no checkpoint.

    Raises TrainingError when the checkpoint belongs to other settings or data.
    """
    found = _checkpoints(directory)
    if not found:
        return None
    last = found[-1]
    state = json.loads((last / "trainer_state.json").read_text(encoding="utf-8"))
    if state["fingerprint"] != fingerprint:
        do = "run without --resume, or with the settings and data that it was started with"
        raise TrainingError(explain(expected=f"{last.name} of this very run", got="other settings or data", do=do))
    restore_weights(lm, last)
    _restore_optimizer(lm, optimizer, load_file(last / "optimizer.safetensors"))
    return Restored(state["global_step"], state["log_history"], state["extra"])


def hand_out(directory: Path, group: Group) -> None:
    """Give every process the last checkpoint of process 0, in its own directory, so that all resume from the same."""
    found = group.from_leader(lambda: _read(_checkpoints(directory)[-1:]))
    if group.is_leader:
        return
    for name, content in found.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _read(checkpoints: list[Path]) -> dict[str, bytes]:
    return {f"{one.name}/{file.name}": file.read_bytes() for one in checkpoints for file in one.iterdir()}


def _checkpoints(directory: Path) -> list[Path]:
    return sorted(directory.glob("checkpoint-*"), key=lambda path: int(path.name.removeprefix("checkpoint-")))


def _optimizer_tensors(lm: LanguageModel, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, parameter in policy_parameters(lm).items():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{name}|{key}"] = torch.as_tensor(value).clone().contiguous()
    return tensors


def _restore_optimizer(lm: LanguageModel, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    parameters = policy_parameters(lm)
    for full_name, tensor in tensors.items():
        name, key = full_name.split("|")
        optimizer.state[parameters[name]][key] = tensor
