"""Peer: TRL's own DPOTrainer, RewardTrainer or GRPOTrainer on a job, in a process without Assay.

    python peer_trl.py JOB.json OUT.json

The pairs come as token ids in the order to train on, so TRL's own tokenizing is passed over, and its adapter starts
from the weights that ours starts from; all else is TRL as it is installed.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any


def main(job_file: str, out_file: str) -> None:
    """Train, write."""
    # A Python without TRL must still be able to import this module, and the clock starts behind these imports.
    import peft
    import torch
    import transformers
    import trl

    timing = importlib.import_module("clock")  # the file beside this one, where a script's Python looks first
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    transformers.set_seed(job["seed"])
    started = time.process_time()
    trainer = {"dpo": dpo_trainer, "reward": reward_trainer, "grpo": grpo_trainer}[job["kind"]](job)
    copy_adapter(trainer.model, job["adapter"])
    clock = timing.StepClock()
    trainer.add_callback(_marking(clock))
    trainer.train()
    told = {
        "step_s": clock.step_s,
        "step_cpu_s": clock.step_cpu_s,
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "before_cpu_s": time.process_time() - started - sum(clock.step_cpu_s),
        "peak_mib": timing.peak_mib(),
        "versions": {m.__name__: m.__version__ for m in (trl, torch, transformers, peft)},
    }
    Path(out_file).write_text(json.dumps(told), encoding="utf-8")


def dpo_trainer(job: dict[str, Any]) -> Any:
    """DPOTrainer whose reference is the base with adapters off, as it is wherever TRL is given a peft_config."""
    import trl
    from datasets import Dataset

    class OnIds(trl.DPOTrainer):
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    rows = Dataset.from_list([{f"{part}_ids": row[part] for part in row} for row in job["rows"]])
    config = trl.DPOConfig(beta=job["beta"], max_length=None, **_common(job))
    return OnIds(
        _model(job, "AutoModelForCausalLM"),
        args=config,
        train_dataset=rows,
        processing_class=_tokenizer(job),
        peft_config=_lora(job, task_type="CAUSAL_LM"),
    )


def reward_trainer(job: dict[str, Any]) -> Any:
    """RewardTrainer, which takes ids as they are; its head is trained beside the adapter."""
    import trl
    from datasets import Dataset

    sides = ("chosen", "rejected")
    rows = Dataset.from_list([{f"{side}_ids": row["prompt"] + row[side] for side in sides} for row in job["rows"]])
    return trl.RewardTrainer(
        _model(job, "AutoModelForSequenceClassification", num_labels=1),
        args=trl.RewardConfig(max_length=None, **_common(job)),
        train_dataset=rows,
        processing_class=_tokenizer(job),
        peft_config=_lora(job, task_type="SEQ_CLS", modules_to_save=["score"]),
    )


def grpo_trainer(job: dict[str, Any]) -> Any:
    """GRPOTrainer that draws once a step, completions of one length, and is paid for the share of even token ids."""
    import trl
    from datasets import Dataset

    class OnIds(trl.GRPOTrainer):
        def _tokenize_prompts(self, prompts: list[str]) -> Any:
            return [job["rows"][int(name)]["prompt"] for name in prompts], None, {}

    def even(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [sum(token % 2 == 0 for token in ids) / len(ids) for ids in completion_ids]

    # Its batch counts completions, and its sampler orders the prompts by itself.
    common = {name: value for name, value in _common(job).items() if name != "train_sampling_strategy"}
    shape = {
        "per_device_train_batch_size": job["pairs_a_step"] * job["completions"],
        "num_generations": job["completions"],
        "max_completion_length": job["new_tokens"],
        "generation_kwargs": {"min_new_tokens": job["new_tokens"]},
        "loss_type": "grpo",
    }
    return OnIds(
        _model(job, "AutoModelForCausalLM"),
        reward_funcs=even,
        args=trl.GRPOConfig(**{**common, **shape}),
        train_dataset=Dataset.from_list([{"prompt": str(i)} for i in range(len(job["rows"]))]),
        processing_class=_tokenizer(job),
        peft_config=_lora(job, task_type="CAUSAL_LM"),
    )


def copy_adapter(model: Any, directory: str) -> None:
    """Start from the given LoRA weights; a fault where one is missing."""
    import torch
    from safetensors.torch import load_file

    saved = load_file(Path(directory) / "adapter_model.safetensors")
    own = {name: p for name, p in model.named_parameters() if ".lora_" in name and ".default." in name}
    with torch.no_grad():
        for name, parameter in own.items():
            # A classifier wraps the body under other names; from the layer's number on they agree.
            place = "".join(name.replace(".default.", ".").partition(".layers.")[1:])
            parameter.copy_(saved[next(one for one in saved if one.endswith(place))])


def _common(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "output_dir": job["scratch"],
        "per_device_train_batch_size": job["pairs_a_step"],
        "learning_rate": job["learning_rate"],
        "lr_scheduler_type": "constant",
        "num_train_epochs": job["epochs"],
        "train_sampling_strategy": "sequential",
        "seed": job["seed"],
        "use_cpu": True,
        "bf16": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        **job["settings"],
    }


def _model(job: dict[str, Any], kind: str, **more: Any) -> Any:
    import torch
    import transformers

    model = getattr(transformers, kind).from_pretrained(job["model"], dtype=torch.float32, **more)
    model.config.pad_token_id = _tokenizer(job).pad_token_id
    return model


def _tokenizer(job: dict[str, Any]) -> Any:
    import transformers

    return transformers.AutoTokenizer.from_pretrained(job["model"])


def _lora(job: dict[str, Any], **more: Any) -> Any:
    import peft

    config = json.loads((Path(job["adapter"]) / "adapter_config.json").read_text(encoding="utf-8"))
    same = ("r", "lora_alpha", "lora_dropout", "target_modules", "layers_to_transform", "bias")
    return peft.LoraConfig(**{name: config[name] for name in same}, **more)


def _marking(clock: Any) -> Any:
    from transformers import TrainerCallback

    class Marking(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.mark()

    return Marking()


if __name__ == "__main__":
    main(*sys.argv[1:])
