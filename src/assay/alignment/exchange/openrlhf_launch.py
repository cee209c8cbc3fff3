"""OpenRLHF launch: a run as OpenRLHF 0.11 takes it: rows as jsonl, dotted flags, the reward over HTTP.

The reward is served by `assay reward serve` before the run begins; `REWARD_URL` overrules where.
"""

from assay.alignment.exchange.job import Bundle, Job, left_out, refuse, script, served
from assay.alignment.exchange.rows import as_jsonl, rows_for
from assay.alignment.settings import DpoSettings, GrpoSettings, SftSettings, TrainerSettings

ESTIMATOR = {"grpo": "group_norm", "dapo": "group_norm", "dr_grpo": "dr_grpo", "rloo": "rloo", "reinforce": "reinforce"}
WIDE = 1000.0
"""OpenRLHF clips rewards to +-10 unless told; this is beyond any reward in s.d. of the reference."""

Flags = dict[str, object]


def bundle(job: Job) -> Bundle:
    """The export for OpenRLHF. Raises ConfigError with every setting that it has no counterpart for."""
    settings = job.settings
    differences, faults = left_out(settings), list[str]()
    if settings.max_steps is not None:
        faults.append("max_steps: OpenRLHF counts passes")
    flags: Flags
    if isinstance(settings, SftSettings):
        module, flags = "train_sft", {"data.input_key": "prompt", "data.output_key": "completion"}
    elif isinstance(settings, DpoSettings):
        module, flags = "train_dpo", _dpo(settings, faults)
    else:
        module, flags = "train_ppo_ray", _grpo(settings, job, faults, differences)
    refuse("OpenRLHF", faults)
    if not isinstance(settings, GrpoSettings):
        flags |= _offline(settings, job)
    flags |= {"data.apply_chat_template": True, "ckpt.output_dir": "output", "ckpt.path": "output/checkpoints"}
    flags |= {"data.max_len": job.context_length, "train.seed": job.seed}
    flags |= {"ckpt.save_steps": settings.save_steps, "train.micro_batch_size": 1}
    launcher = ["python3", "-m"] if module == "train_ppo_ray" else ["deepspeed", "--module"]
    command = [*launcher, f"openrlhf.cli.{module}", *_words(flags)]
    files = {"train.jsonl": as_jsonl(rows_for("openrlhf", job.records)), "launch.sh": script(command)}
    return Bundle(files, tuple(differences))


def _offline(settings: SftSettings | DpoSettings, job: Job) -> Flags:
    return {
        "model.model_name_or_path": job.model,
        "data.dataset": "train.jsonl",
        "train.batch_size": settings.per_device_train_batch_size,
        "train.max_epochs": settings.num_train_epochs,
        **_step_loop("", settings),
        "ds.lora.rank": settings.lora.r,
        "ds.lora.alpha": settings.lora.alpha,
        "ds.lora.target_modules": list(settings.lora.targets),
    }


def _dpo(settings: DpoSettings, faults: list[str]) -> Flags:
    kind = "sigmoid" if settings.loss_type == "rpo" else settings.loss_type
    if kind not in ("sigmoid", "ipo"):
        faults.append(f"loss_type: OpenRLHF has no {kind}")
    if settings.reference_free:
        faults.append("reference_free: OpenRLHF has no such option")
    return {
        "data.prompt_key": "prompt",
        "data.chosen_key": "chosen",
        "data.rejected_key": "rejected",
        "model.beta": settings.beta,
        "model.ipo_enable": kind == "ipo",
        "model.label_smoothing": settings.label_smoothing,
        "model.nll_loss_coef": settings.weight_of_sft,
    }


def _grpo(settings: GrpoSettings, job: Job, faults: list[str], differences: list[str]) -> Flags:
    in_reward = settings.loss_type in ("rloo", "reinforce")
    if not in_reward and settings.scale_rewards == "batch":
        faults.append("scale_rewards: OpenRLHF divides by the group's s.d. or by none")
    differences.append("lora: all weights are tuned, as its reinforcement learning has no adapters")
    if settings.loss_type == "rloo":
        differences.append("loss_type: the probability ratio that is clipped is a token's, not the completion's")
    if settings.loss_type == "dr_grpo":
        differences.append("loss_type: dr_grpo divides by the batch's tokens, not by max_completion_length")
    served(job)
    flags: Flags = {
        "actor.model_name_or_path": job.model,
        "reward.remote_url": "${REWARD_URL:-http://127.0.0.1:5000/get_reward}",
        "reward.clip_range": [-WIDE, WIDE],
        "data.prompt_dataset": "train.jsonl",
        "data.input_key": "prompt",
        "train.batch_size": settings.per_device_train_batch_size,
        "train.max_epochs": settings.num_iterations,
        "train.num_episodes": settings.rounds,
        "rollout.batch_size": len(job.records),
        "rollout.n_samples_per_prompt": settings.num_generations,
        "rollout.max_new_tokens": settings.max_completion_length,
        "rollout.temperature": 1.0,
        **_step_loop("actor.", settings),
        "actor.eps_clip_low_high": [settings.epsilon_low, settings.epsilon_high],
        "actor.loss_agg_mode": "seq-mean-token-mean" if settings.loss_type == "grpo" else "token-mean",
        "algo.advantage.estimator": ESTIMATOR[settings.loss_type],
        "algo.advantage.no_std_norm": not in_reward and settings.scale_rewards == "none",
        "algo.kl.init_coef": settings.kl_coef,
        "algo.kl.use_loss": not in_reward and settings.kl_coef > 0,
        "algo.kl.estimator": "k1" if in_reward else settings.kl_estimator,
    }
    return flags


def _step_loop(prefix: str, settings: TrainerSettings) -> Flags:
    schedule: str = settings.lr_scheduler_type
    return {
        f"{prefix}adam.lr": settings.learning_rate,
        f"{prefix}adam.betas": [0.9, 0.999],
        f"{prefix}adam.weight_decay": settings.weight_decay,
        f"{prefix}lr_scheduler": "constant_with_warmup" if schedule == "constant" else schedule,
        f"{prefix}lr_warmup_ratio": settings.warmup_ratio,
        f"{prefix}max_norm": settings.max_grad_norm,
    }


def _words(flags: Flags) -> list[object]:
    """Flags with their values; a switch stands alone or is left out."""
    words: list[object] = []
    for name, value in flags.items():
        if isinstance(value, bool):
            words += [f"--{name}"] if value else []
        elif isinstance(value, list):
            words += [f"--{name}", *value]
        else:
            words += [f"--{name}", value]
    return words
