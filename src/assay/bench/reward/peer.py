"""Peer run: hands a job to TRL in its own Python and reads back scores and CPU seconds.

The peer trains the whole model in one pass over the pairs, its learning rate, optimiser and batch as TRL sets them; its
gradient checkpointing is off and its precision is the processor's native one, which both make it faster. TRL's own
default is three passes: three times the cost.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assay.bench.processes import run_script
from assay.lm import LanguageModel
from assay.lm.bundled import bundled_directory
from assay.lm.loading import native_dtype
from assay.records.errors import ConfigError, explain
from assay.records.preference import Preference
from assay.records.record import Value

SCRIPT = Path(__file__).with_name("peer_trl.py")
DO = "give --peer-python a Python with trl==1.16.0, as `make peers` makes one"


class PeerRun(Value):
    """What one run of TRL's RewardTrainer gave: scores of each held-out pair (chosen, rejected), and what it took."""

    scores: tuple[tuple[float, float], ...]
    train_cpu_s: float
    train_s: float
    trained_pairs: int
    steps: int
    final_loss: float | None
    versions: dict[str, str]


def peer_settings(*, epochs: int) -> dict[str, Any]:
    """TRL's settings where they are not its defaults."""
    return {
        "num_train_epochs": epochs,
        "gradient_checkpointing": False,
        "bf16": native_dtype() == torch.bfloat16,
        "use_cpu": True,
        "save_strategy": "no",
        "disable_tqdm": True,
    }


def run_peer(
    python: Path,
    lm: LanguageModel,
    train: Sequence[Preference],
    held_out: Sequence[Preference],
    *,
    max_length: int,
    epochs: int,
    seed: int,
) -> PeerRun:
    """One run of TRL. Raises ConfigError, with the peer's last words, when it cannot be started or fails."""
    with tempfile.TemporaryDirectory() as scratch:
        job, out = Path(scratch) / "job.json", Path(scratch) / "out.json"
        asked = {
            "model": str(bundled_directory()) if lm.source == "default" else lm.source,
            "train": [_row(preference) for preference in train],
            "score": [_row(preference) for preference in held_out],
            "max_length": max_length,
            "threads": torch.get_num_threads(),
            "seed": seed,
            "settings": {"output_dir": str(Path(scratch) / "trl"), **peer_settings(epochs=epochs)},
        }
        job.write_text(json.dumps(asked), encoding="utf-8")
        run_script([str(python), str(SCRIPT), str(job), str(out)], what="TRL", do=DO)
        return read_peer(out, pairs=len(held_out))


def read_peer(out: Path, *, pairs: int) -> PeerRun:
    """What the peer wrote. Raises ConfigError when it is not there, not whole, or not about so many pairs."""
    expected, do = f"the peer's scores of {pairs} pairs", "run it again, and report what it said if it stays so"
    try:
        told = PeerRun.model_validate_json(out.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(explain(expected=expected, got=str(error), do=do)) from error
    if len(told.scores) != pairs or not np.isfinite(told.scores).all():
        got = f"{len(told.scores)} scores, of which {int(np.isfinite(told.scores).all(axis=-1).sum())} are finite"
        raise ConfigError(explain(expected=expected, got=got, do=do))
    return told


def _row(preference: Preference) -> dict[str, list[dict[str, str]]]:
    prompt = [message.model_dump() for message in preference.prompt]
    sides = {"chosen": preference.chosen, "rejected": preference.rejected}
    return {side: [*prompt, {"role": "assistant", "content": text}] for side, text in sides.items()}
