"""Peer: TRL's own DPOTrainer, or its RewardTrainer and then its GRPOTrainer, on a job, in a process without Assay.

    python peer_trl.py JOB.json OUT.json

The job names a base, pairs and prompts; what comes back are the directories of the adapters that TRL kept on its way.
Prompts and answers are handed over as text, to which TRL appends the end token itself; a conversation it would leave
without one, as the base's template writes none.
"""

import json
import sys
from pathlib import Path
from typing import Any


def main(job_file: str, out_file: str) -> None:
    """Train, write."""
    # A Python without TRL must still be able to import this module.
    import torch
    import transformers

    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    transformers.set_seed(job["seed"])
    trainer = dpo_trainer(job) if job["kind"] == "dpo" else grpo_trainer(job)
    trainer.train()
    kept = sorted(Path(job["out"]).glob("checkpoint-*"), key=_step)
    told = [{"step": _step(one), "adapter": str(one)} for one in kept]
    Path(out_file).write_text(json.dumps(told), encoding="utf-8")


def dpo_trainer(job: dict[str, Any]) -> Any:
    """One pass over the pairs."""
    import trl
    from datasets import Dataset

    tokenizer = _tokenizer(job)
    rows = [{**row, "prompt": _asked(tokenizer, row["prompt"])} for row in job["pairs"]]
    config = trl.DPOConfig(num_train_epochs=1, max_length=None, **_common(job))
    return trl.DPOTrainer(
        _model(job, "AutoModelForCausalLM"),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=_lora(job),
    )


def grpo_trainer(job: dict[str, Any]) -> Any:
    """As many completions of each prompt as the job's rounds ask for, paid by a reward that TRL fits on the pairs."""
    import trl
    from datasets import Dataset

    tokenizer = _tokenizer(job)
    config = trl.GRPOConfig(
        num_generations=job["generations"],
        max_completion_length=job["max_completion_length"],
        num_train_epochs=job["rounds"],
        beta=job["kl_coef"],
        **_common(job),
    )
    return trl.GRPOTrainer(
        _model(job, "AutoModelForCausalLM"),
        reward_funcs=_reward(job, tokenizer),
        reward_processing_classes=tokenizer,
        args=config,
        train_dataset=Dataset.from_list([{"prompt": _asked(tokenizer, prompt)} for prompt in job["prompts"]]),
        processing_class=tokenizer,
        peft_config=_lora(job),
    )


def _reward(job: dict[str, Any], tokenizer: Any) -> Any:
    """A reward as RewardTrainer fits it where nobody tells it more than the pairs."""
    import trl
    from datasets import Dataset

    asked = [_asked(tokenizer, row["prompt"]) for row in job["pairs"]]
    rows = [
        {side: prompt + row[side] for side in ("chosen", "rejected")}
        for prompt, row in zip(asked, job["pairs"], strict=True)
    ]
    model = _model(job, "AutoModelForSequenceClassification", num_labels=1)
    plain = {"seed": job["seed"], "use_cpu": True, "bf16": False, "report_to": "none", "disable_tqdm": True}
    config = trl.RewardConfig(output_dir=f"{job['out']}-reward", save_strategy="no", **plain)
    trainer = trl.RewardTrainer(model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    trainer.train()
    return trainer.model


def _common(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "output_dir": job["out"],
        "per_device_train_batch_size": job["batch"],
        "learning_rate": job["learning_rate"],
        "lr_scheduler_type": "constant",
        "seed": job["seed"],
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "save_strategy": "steps",
        "save_steps": job["every"],
        "report_to": "none",
        "disable_tqdm": True,
    }


def _model(job: dict[str, Any], kind: str, **more: Any) -> Any:
    import torch
    import transformers

    model = getattr(transformers, kind).from_pretrained(job["base"], dtype=torch.float32, **more)
    model.config.pad_token_id = _tokenizer(job).pad_token_id
    return model


def _tokenizer(job: dict[str, Any]) -> Any:
    import transformers

    return transformers.AutoTokenizer.from_pretrained(job["base"])


def _asked(tokenizer: Any, prompt: list[dict[str, str]]) -> str:
    return str(tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True))


def _lora(job: dict[str, Any]) -> Any:
    import peft

    return peft.LoraConfig(task_type="CAUSAL_LM", **job["lora"])


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


if __name__ == "__main__":
    main(*sys.argv[1:])
