"""verl launch: a run as verl 0.9 takes it: rows as parquet, and its Hydra keys on the command line.

verl draws as a round here does: all prompts of a batch, then steps on mini-batches of what it drew. It has no trainer
for preferences.
"""

from collections.abc import Mapping

from assay.alignment.exchange.job import Bundle, Job, left_out, refuse, reward_file, script, served
from assay.alignment.exchange.rows import as_parquet, rows_for
from assay.alignment.settings import GrpoSettings, SftSettings, TrainerSettings

REWARD = "assay_reward.py"
ESTIMATOR = {"grpo": "grpo", "dapo": "grpo", "dr_grpo": "grpo", "rloo": "rloo", "reinforce": "reinforce_plus_plus"}
AVERAGED = {"grpo": "seq-mean-token-mean", "dr_grpo": "seq-mean-token-sum-norm"}
"""verl's `loss_agg_mode` where it is not a mean over all tokens."""
POLICY = "actor_rollout_ref"


def bundle(job: Job) -> Bundle:
    """The export for verl. Raises ConfigError with every setting that it has no counterpart for."""
    settings = job.settings
    differences, faults = left_out(settings), list[str]()
    if isinstance(settings, SftSettings):
        keys, module, files = _sft(settings, job), "verl.trainer.sft_trainer", {}
        launcher = ["torchrun", "--standalone", "--nproc_per_node=${GPUS:-8}", "-m", module]
    elif isinstance(settings, GrpoSettings):
        _check(settings, faults)
        if settings.loss_type == "rloo":
            differences.append("loss_type: the probability ratio that is clipped is a token's, not the completion's")
        keys, files = _grpo(settings, job), {REWARD: reward_file(served(job), "verl_function", "compute_score")}
        launcher = ["python3", "-m", "verl.trainer.main_ppo", f"{POLICY}.rollout.name=${{ROLLOUT:-vllm}}"]
    else:
        faults.append("dpo: verl has no trainer for preferences")
        keys, files, launcher = {}, {}, []
    refuse("verl", faults)
    if settings.lr_scheduler_type == "linear":
        differences.append("lr_scheduler_type: cosine, as verl has no linear fall")
    files["train.parquet"] = as_parquet(rows_for("verl", job.records))
    files["launch.sh"] = script([*launcher, *(f"{key}={_shown(value)}" for key, value in keys.items())])
    return Bundle(files, tuple(differences))


def _check(settings: GrpoSettings, faults: list[str]) -> None:
    if settings.per_device_train_batch_size % settings.num_generations:
        faults.append("per_device_train_batch_size: verl steps on whole groups, a multiple of num_generations")
    if settings.scale_rewards == "batch" and settings.loss_type in ("grpo", "dapo", "dr_grpo"):
        faults.append("scale_rewards: verl divides by the group's s.d. or by none")


def _sft(settings: SftSettings, job: Job) -> dict[str, object]:
    return {
        "data.train_files": "train.parquet",
        "data.messages_key": "messages",
        "data.train_batch_size": settings.per_device_train_batch_size,
        "data.max_length": job.context_length,
        "model.path": job.model,
        **_adapter("model", settings),
        **_step_loop("optim", settings),
        **_trainer(settings, settings.num_train_epochs),
        "trainer.seed": job.seed,
    }


def _grpo(settings: GrpoSettings, job: Job) -> dict[str, object]:
    actor = f"{POLICY}.actor"
    return {
        "algorithm.adv_estimator": ESTIMATOR[settings.loss_type],
        "algorithm.norm_adv_by_std_in_grpo": settings.scale_rewards == "group",
        "data.train_files": "train.parquet",
        "data.val_files": "train.parquet",
        "data.train_batch_size": len(job.records),
        "data.max_prompt_length": max(1, job.context_length - settings.max_completion_length),
        "data.max_response_length": settings.max_completion_length,
        "data.seed": job.seed,
        f"{POLICY}.model.path": job.model,
        **_adapter(f"{POLICY}.model", settings),
        **_step_loop(f"{actor}.optim", settings),
        f"{actor}.grad_clip": settings.max_grad_norm,
        f"{actor}.ppo_mini_batch_size": settings.per_device_train_batch_size // settings.num_generations,
        f"{actor}.ppo_epochs": settings.num_iterations,
        f"{actor}.use_dynamic_bsz": True,
        f"{actor}.clip_ratio_low": settings.epsilon_low,
        f"{actor}.clip_ratio_high": settings.epsilon_high,
        f"{actor}.loss_agg_mode": AVERAGED.get(settings.loss_type, "token-mean"),
        **_kl(settings, actor),
        f"{POLICY}.rollout.n": settings.num_generations,
        f"{POLICY}.rollout.temperature": 1.0,
        "custom_reward_function.path": REWARD,
        "custom_reward_function.name": "compute_score",
        **_trainer(settings, settings.rounds),
        "trainer.val_before_train": False,
    }


def _kl(settings: GrpoSettings, actor: str) -> dict[str, object]:
    if settings.loss_type in ("rloo", "reinforce"):
        coefficient = {"algorithm.kl_ctrl.kl_coef": settings.kl_coef}
        return {"algorithm.use_kl_in_reward": settings.kl_coef > 0, "algorithm.kl_penalty": "k1", **coefficient}
    in_loss = {f"{actor}.kl_loss_coef": settings.kl_coef, f"{actor}.kl_loss_type": settings.kl_estimator}
    return {f"{actor}.use_kl_loss": settings.kl_coef > 0, **in_loss}


def _adapter(prefix: str, settings: TrainerSettings) -> dict[str, object]:
    lora = settings.lora
    targets = f"[{','.join(lora.targets)}]"
    return {f"{prefix}.lora_rank": lora.r, f"{prefix}.lora_alpha": lora.alpha, f"{prefix}.target_modules": targets}


def _step_loop(prefix: str, settings: TrainerSettings) -> dict[str, object]:
    return {
        f"{prefix}.lr": settings.learning_rate,
        f"{prefix}.lr_warmup_steps_ratio": settings.warmup_ratio,
        f"{prefix}.lr_scheduler_type": "constant" if settings.lr_scheduler_type == "constant" else "cosine",
        f"{prefix}.weight_decay": settings.weight_decay,
        f"{prefix}.clip_grad": settings.max_grad_norm,
    }


def _trainer(settings: TrainerSettings, passes: int) -> Mapping[str, object]:
    found: dict[str, object] = {
        "trainer.total_epochs": passes,
        "trainer.save_freq": settings.save_steps,
        "trainer.project_name": "assay",
        "trainer.logger": "[console]",
    }
    return found if settings.max_steps is None else {**found, "trainer.total_training_steps": settings.max_steps}


def _shown(value: object) -> str:
    """A value as Hydra reads it."""
    text = str(value)
    is_plain = not isinstance(value, str) or text.startswith("[") or not set(text) & set(" =,{}")
    return text if is_plain else f"'{text}'"
