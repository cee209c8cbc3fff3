"""Peer: TRL's own RewardTrainer, run as a process of its own by a Python that has TRL; it imports nothing of Assay.

    python peer_trl.py JOB.json OUT.json

The job names a model directory, pairs to train on and pairs to score; what comes back are the scores, in the job's
order, and the CPU seconds that training took: building the trainer (which encodes the pairs) and its steps, without
importing libraries and loading the model.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any


def main(job_file: str, out_file: str) -> None:
    """Train, score, write."""
    # A Python without TRL must still be able to import this module, and the clock starts behind these imports.
    import torch
    import transformers
    import trl
    from datasets import Dataset

    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    transformers.set_seed(job["seed"])  # the classifier's head starts at random
    load = transformers.AutoModelForSequenceClassification.from_pretrained
    model = load(job["model"], num_labels=1, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["model"])
    started, cpu = time.monotonic(), time.process_time()
    config = trl.RewardConfig(seed=job["seed"], max_length=job["max_length"], report_to="none", **job["settings"])
    rows = Dataset.from_list(job["train"])
    trainer = trl.RewardTrainer(model, args=config, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    train_cpu_s, train_s = time.process_time() - cpu, time.monotonic() - started
    scores = [[_score(model, tokenizer, row[side]) for side in ("chosen", "rejected")] for row in job["score"]]
    told = {
        "scores": scores,
        "train_cpu_s": train_cpu_s,
        "train_s": train_s,
        "trained_pairs": len(trainer.train_dataset),
        "steps": trainer.state.global_step,
        "final_loss": next((one["loss"] for one in reversed(trainer.state.log_history) if "loss" in one), None),
        "versions": {m.__name__: m.__version__ for m in (trl, torch, transformers)},
    }
    Path(out_file).write_text(json.dumps(told), encoding="utf-8")


def _score(model: Any, tokenizer: Any, messages: list[dict[str, str]]) -> float:
    import torch

    model.eval()
    ids = tokenizer.apply_chat_template(messages, return_dict=False)
    with torch.no_grad():
        return float(model(input_ids=torch.tensor([ids])).logits[0, 0])


if __name__ == "__main__":
    main(*sys.argv[1:])
