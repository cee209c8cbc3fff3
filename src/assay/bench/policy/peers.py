"""Peers: TRL's DPO and GRPO on a seed's labels and prompts, run in TRL's own Python; their adapters come back.

Both take the step size, the batch and the adapter of our own loops, GRPO their number of completions and KL coefficient
too, and the rest is TRL as it is. Nothing here can reach gold.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from assay.bench.policy.running import Course
from assay.bench.processes import run_script
from assay.bench.reward.peer import DO
from assay.records.conversation import Prompt
from assay.records.preference import Preference

SCRIPT = Path(__file__).with_name("peer_trl.py")
PeerKind = Literal["dpo", "grpo"]
PEER_ARMS: Mapping[str, PeerKind] = MappingProxyType({"TRL DPO": "dpo", "TRL GRPO": "grpo"})
CHECKPOINTS = 10
"""About how many checkpoints a run keeps."""


class Kept(NamedTuple):
    """A checkpoint of a peer: the steps taken, and the directory of its adapter."""

    step: int
    adapter: Path


def run_peer(python: Path, kind: PeerKind, course: Course, preferences: Sequence[Preference]) -> list[Kept]:
    """One run of TRL from the base. Raises ConfigError, with its last words, when it cannot be started or fails."""
    place = course.scratch / f"trl-{kind}"
    place.mkdir(parents=True)
    asked, told = place / "job.json", place / "told.json"
    asked.write_text(json.dumps(job_of(kind, course, preferences, out=place / "run")), encoding="utf-8")
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    run_script([str(python), str(SCRIPT), str(asked), str(told)], what="TRL", do=DO, environment=one_thread)
    return [Kept(one["step"], Path(one["adapter"])) for one in json.loads(told.read_text(encoding="utf-8"))]


def job_of(kind: PeerKind, course: Course, preferences: Sequence[Preference], *, out: Path) -> dict[str, object]:
    """What TRL is asked for, as plain data."""
    loop = course.loop
    # Our loops count pairs a step, DPO does so too, and GRPO counts completions.
    batch = loop.per_device_train_batch_size * (1 if kind == "dpo" else loop.num_generations)
    rows = len(preferences) if kind == "dpo" else len(course.prompts) * loop.num_generations * loop.rounds
    lora = {"r": loop.lora.r, "lora_alpha": loop.lora.alpha, "lora_dropout": 0.0}
    return {
        "kind": kind,
        "base": str(course.base),
        "pairs": [
            {"prompt": _plain(one.prompt), "chosen": one.chosen, "rejected": one.rejected} for one in preferences
        ],
        "prompts": [_plain(prompt) for prompt in course.prompts],
        "lora": {**lora, "target_modules": list(loop.lora.targets)},
        "seed": course.seed,
        "threads": 1,
        "learning_rate": loop.learning_rate,
        "kl_coef": loop.beta,
        "batch": batch,
        "rounds": loop.rounds,
        "generations": loop.num_generations,
        "max_completion_length": loop.max_completion_length,
        "every": max(1, -(-rows // batch) // CHECKPOINTS),
        "out": str(out),
    }


def _plain(prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt]
