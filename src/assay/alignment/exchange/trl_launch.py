"""TRL launch: a run as TRL 1.16 takes it: `config.yaml` whose keys are its flags, rows as jsonl, `trl METHOD`.

TRL's command line has no trainer for ORPO, CPO, SimPO, chi-squared PO and REINFORCE++: those are refused.
"""

from typing import Any

import yaml

from assay.alignment.exchange.job import Bundle, Job, left_out, refuse, reward_file, script, served
from assay.alignment.exchange.rows import as_jsonl, rows_for
from assay.alignment.exchange.trl_config import DPO_LOSSES
from assay.alignment.settings import DpoSettings, GrpoSettings, SftSettings, TrainerSettings

REWARD = "assay_reward"
GRPO_TRAINERS = {"grpo": "grpo", "dapo": "grpo", "dr_grpo": "grpo", "rloo": "rloo"}


def bundle(job: Job) -> Bundle:
    """The export for TRL. Raises ConfigError with every setting that TRL's trainers have no counterpart for."""
    settings, faults = job.settings, list[str]()
    if isinstance(settings, SftSettings):
        trainer, own = "sft", _passes(settings, settings.num_train_epochs)
    elif isinstance(settings, DpoSettings):
        trainer, own = _dpo(settings, faults)
    else:
        trainer, own = _grpo(settings, faults)
    refuse("TRL", faults)
    config = {
        "model_name_or_path": job.model,
        "dataset_name": "data",
        "output_dir": "output",
        "report_to": "none",
        "seed": job.seed,
        **_step_loop(settings),
        **own,
    }
    files = {
        "config.yaml": yaml.safe_dump(config, sort_keys=False).encode(),
        "data/train.jsonl": as_jsonl(rows_for("trl", job.records)),
        "launch.sh": script(["trl", trainer, "--config", "config.yaml"]),
    }
    differences = left_out(settings)
    if isinstance(settings, GrpoSettings):
        files[f"{REWARD}.py"] = reward_file(served(job), "trl_function", "reward")
        differences.append("rounds: completions are drawn before each step, not once a pass over the prompts")
    return Bundle(files, tuple(differences))


def _step_loop(settings: TrainerSettings) -> dict[str, Any]:
    return {
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": _schedule(settings),
        "warmup_steps": settings.warmup_ratio,  # below 1 it is a share
        "max_grad_norm": settings.max_grad_norm,
        "weight_decay": settings.weight_decay,
        "save_steps": settings.save_steps,
        "save_total_limit": settings.save_total_limit,
        "use_peft": True,
        "lora_r": settings.lora.r,
        "lora_alpha": settings.lora.alpha,
        "lora_dropout": 0.0,
        "lora_target_modules": list(settings.lora.targets),
    }


def _schedule(settings: TrainerSettings) -> str:
    if settings.lr_scheduler_type == "constant" and settings.warmup_ratio:
        return "constant_with_warmup"
    return settings.lr_scheduler_type


def _passes(settings: SftSettings | DpoSettings | GrpoSettings, passes: int, *, rows: int = 1) -> dict[str, Any]:
    """`rows` of TRL's make one of ours."""
    found: dict[str, Any] = {
        "num_train_epochs": passes,
        "per_device_train_batch_size": settings.per_device_train_batch_size * rows,
    }
    if settings.max_steps is not None:
        found["max_steps"] = settings.max_steps
    return found if isinstance(settings, GrpoSettings) else {**found, "max_length": None}


def _dpo(settings: DpoSettings, faults: list[str]) -> tuple[str, dict[str, Any]]:
    kind = "sigmoid" if settings.loss_type == "rpo" else settings.loss_type
    if kind == "kto":
        weights = {name: getattr(settings, name) for name in ("desirable_weight", "undesirable_weight")}
        if settings.weight_of_sft:
            faults.append("sft_weight: TRL's KTO has no likelihood term")
        return "kto", {**_passes(settings, settings.num_train_epochs, rows=2), "beta": settings.beta, **weights}
    if kind not in DPO_LOSSES:
        faults.append(f"loss_type: TRL's command line has no {kind}")
    if settings.label_smoothing and kind != "robust":
        faults.append(f"label_smoothing: TRL's {kind} does not read it")
    if settings.reference_free:
        faults.append("reference_free: TRL has no such option")
    found = {**_passes(settings, settings.num_train_epochs), "beta": settings.beta, "loss_type": [kind]}
    if settings.weight_of_sft:
        found |= {"loss_type": [kind, "sft"], "loss_weights": [1.0, settings.weight_of_sft]}
    return "dpo", found | ({"label_smoothing": settings.label_smoothing} if kind == "robust" else {})


def _grpo(settings: GrpoSettings, faults: list[str]) -> tuple[str, dict[str, Any]]:
    trainer = GRPO_TRAINERS.get(settings.loss_type, "")
    if not trainer:
        faults.append(f"loss_type: TRL has no {settings.loss_type}")
    if settings.per_device_train_batch_size % settings.num_generations:
        faults.append("per_device_train_batch_size: TRL needs whole groups, a multiple of num_generations")
    found: dict[str, Any] = {
        **_passes(settings, settings.rounds),
        "reward_funcs": [f"{REWARD}.reward"],
        "beta": settings.kl_coef,
        "epsilon": settings.epsilon_low,
        "epsilon_high": settings.epsilon_high,
        "num_generations": settings.num_generations,
        "num_iterations": settings.num_iterations,
        "max_completion_length": settings.max_completion_length,
        "temperature": 1.0,
    }
    if trainer != "grpo":
        return trainer, found
    if settings.kl_coef and settings.kl_estimator != "k3":
        faults.append("kl_estimator: TRL's GRPO has k3 alone")
    own = {"loss_type": settings.loss_type, "scale_rewards": settings.scale_rewards, "use_bias_correction_kl": False}
    return trainer, found | own
