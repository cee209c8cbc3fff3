"""TRL keys: what each key of a TRL 1.16 configuration is to a run here, by name.

    taken       has a setting of the same meaning here; listed by trainer
    neutral     may stand with the values given, which leave what is learnt as it is; any other value would change it
    ignored     says where, how fast or how precisely something is done, or what is logged: not what is learnt
    workspace   names a model, data or rewards; a workspace has its own

A key that is in none of them is none of TRL 1.16's.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

Trainer = Literal["sft", "dpo", "kto", "orpo", "cpo", "grpo", "rloo", "online_dpo"]
TRAINERS: tuple[Trainer, ...] = get_args(Trainer)

STEP_LOOP = frozenset(
    {
        *("learning_rate", "lr_scheduler_type", "warmup_steps", "warmup_ratio", "max_grad_norm", "weight_decay"),
        *("num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "save_steps"),
        *("save_total_limit", "seed", "use_peft", "lora_r", "lora_alpha", "lora_target_modules"),
    }
)
"""Taken by every trainer."""
_ONLINE = frozenset({"num_generations", "num_iterations", "max_completion_length", "beta", "epsilon", "epsilon_high"})
TAKEN: Mapping[Trainer, frozenset[str]] = MappingProxyType(
    {
        "sft": STEP_LOOP,
        "dpo": STEP_LOOP | {"beta", "loss_type", "loss_weights", "label_smoothing"},
        "kto": STEP_LOOP | {"beta", "loss_type", "desirable_weight", "undesirable_weight"},
        "orpo": STEP_LOOP | {"beta"},
        "cpo": STEP_LOOP | {"beta", "loss_type", "label_smoothing", "cpo_alpha", "simpo_gamma"},
        "grpo": STEP_LOOP | _ONLINE | {"loss_type", "scale_rewards"},
        "rloo": STEP_LOOP | _ONLINE,
        "online_dpo": STEP_LOOP | {"beta", "loss_type", "max_new_tokens", "temperature"},
    }
)

NEUTRAL: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {
        "loss_type": ("nll",),
        "optim": ("adamw_torch", "adamw_torch_fused", "adamw_hf"),
        "optim_args": (None,),
        "optim_target_modules": (None,),
        "adam_beta1": (0.9,),
        "adam_beta2": (0.999,),
        "adam_epsilon": (1e-8,),
        "lr_scheduler_kwargs": (None,),
        "label_smoothing_factor": (0.0,),
        "neftune_noise_alpha": (None,),
        "router_aux_loss_coef": (None, 0.0),
        "data_seed": (None,),
        "dataloader_drop_last": (False,),
        "train_sampling_strategy": ("random", "sequential"),
        "auto_find_batch_size": (False,),
        "load_best_model_at_end": (False,),
        # adapters
        "lora_dropout": (0.0,),
        "lora_task_type": ("CAUSAL_LM",),
        "lora_target_parameters": (None,),
        "lora_modules_to_save": (None,),
        "use_rslora": (False,),
        "use_dora": (False,),
        "load_in_8bit": (False,),
        "load_in_4bit": (False,),
        # sft
        "packing": (False,),
        "completion_only_loss": (None, True),
        "assistant_only_loss": (False,),
        "eos_token": (None,),
        "chat_template_path": (None,),
        "dataset_kwargs": (None,),
        # preference trainers
        "ld_alpha": (None,),
        "f_divergence_type": ("reverse_kl",),
        "use_weighting": (False,),
        "sync_ref_model": (False,),
        "alpha": (0.0,),
        "is_encoder_decoder": (None, False),
        # trainers that sample
        "temperature": (1.0,),
        "top_p": (1.0,),
        "top_k": (0, None),
        "min_p": (None, 0.0),
        "repetition_penalty": (1.0,),
        "generation_kwargs": (None, {}),
        "chat_template_kwargs": (None, {}),
        "delta": (None,),
        "importance_sampling_level": ("token",),
        "reward_weights": (None, [1.0]),
        "multi_objective_aggregation": ("sum_then_normalize",),
        "mask_truncated_completions": (False,),
        "top_entropy_quantile": (1.0,),
        "entropy_coef": (0.0,),
        "use_adaptive_entropy": (False,),
        "off_policy_mask_threshold": (None,),
        "max_tool_calling_iterations": (None,),
        "normalize_advantages": (False,),
        "reward_clip_range": (None,),
        "missing_eos_penalty": (None,),
        "vllm_structured_outputs_regex": (None,),
    }
)

WORKSPACE = frozenset(
    {
        *("model_name_or_path", "model_revision", "trust_remote_code", "model_init_kwargs"),
        *("dataset_name", "dataset_config", "dataset_train_split", "dataset_test_split", "dataset_streaming"),
        *("datasets", "streaming", "test_split_size", "dataset_text_field"),
        *("reward_funcs", "reward_model_name_or_path", "reward_model_path", "resume_from_checkpoint"),
    }
)

DIFFERENT: Mapping[str, str] = MappingProxyType(
    {
        "max_length": "no text is cut here: one that is longer than the model's context is refused",
        "truncation_mode": "no text is cut here",
        "steps_per_generation": "completions are drawn once a pass over the prompts",
        "generation_batch_size": "completions are drawn once a pass over the prompts",
        "use_bias_correction_kl": "the KL of the loss is not weighed by the probability ratio",
        "shuffle_dataset": "every pass has its own order, drawn from the seed",
    }
)
"""Keys that a run gets by without, at the price of a difference that is told."""

_UNUSED_KNOBS = frozenset(
    {
        *("ref_model_mixup_alpha", "ref_model_sync_steps", "f_alpha_divergence_coef", "discopop_tau"),
        *("sapo_temperature_neg", "sapo_temperature_pos", "vespo_k_pos", "vespo_lambda_pos", "vespo_k_neg"),
        *("vespo_lambda_neg", "entropy_coef_min", "entropy_coef_max", "entropy_coef_delta", "entropy_target"),
        *("bnb_4bit_quant_type", "use_bnb_nested_quant", "bnb_4bit_quant_storage", "padding_value"),
    }
)
"""They turn something that is off, for what turns it on would be refused."""
_PROGRAM = frozenset(
    {
        *("bf16", "fp16", "bf16_full_eval", "fp16_full_eval", "tf32", "dtype", "attn_implementation", "use_cpu"),
        *("cast_lm_head_to_fp32", "activation_checkpointing", "activation_checkpointing_kwargs", "use_cache"),
        *("gradient_checkpointing", "gradient_checkpointing_kwargs", "activation_offloading", "disable_dropout"),
        *("torch_compile", "torch_compile_backend", "torch_compile_mode", "use_liger_kernel", "liger_kernel_config"),
        *("torch_empty_cache_steps", "average_tokens_across_devices", "full_determinism", "accelerator_config"),
        *("parallelism_config", "ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers"),
        *("ddp_static_graph", "ddp_backend", "ddp_timeout", "fsdp", "fsdp_config", "deepspeed", "local_rank"),
        *("ds3_gather_for_generation", "dataloader_num_workers", "dataloader_pin_memory", "dataloader_in_order"),
        *("dataloader_persistent_workers", "dataloader_prefetch_factor", "dataloader_multiprocessing_context"),
        *("remove_unused_columns", "label_names", "length_column_name", "dataset_num_proc", "ignore_data_skip"),
        *("packing_strategy", "padding_free", "pad_to_multiple_of", "eval_packing", "pad_token"),
        *("precompute_ref_log_probs", "precompute_ref_batch_size", "cache_implementation", "use_vllm", "vllm_mode"),
        *("vllm_model_impl", "vllm_enable_sleep_mode", "vllm_server_base_url", "vllm_server_host", "vllm_group_port"),
        *("vllm_server_port", "vllm_server_timeout", "vllm_gpu_memory_utilization", "vllm_max_model_length"),
        *("vllm_tensor_parallel_size", "vllm_importance_sampling_correction", "vllm_importance_sampling_mode"),
        *("vllm_importance_sampling_clip_max", "vllm_importance_sampling_clip_min", "vllm_importance_sampling_cap"),
        *("use_transformers_continuous_batching", "transformers_continuous_batching_config"),
        *("use_transformers_paged", "ignore_bias_buffers", "enable_jit_checkpoint"),
        "restore_callback_states_from_checkpoint",
    }
)
_TRAIL = frozenset(
    {
        *("output_dir", "logging_strategy", "logging_steps", "logging_first_step", "logging_nan_inf_filter"),
        *("logging_dir", "log_on_each_node", "log_level", "log_level_replica", "disable_tqdm", "report_to", "run_name"),
        *("project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id", "debug"),
        *("include_num_input_tokens_seen", "skip_memory_metrics", "do_train", "do_eval", "do_predict"),
        *("eval_strategy", "eval_steps", "eval_delay", "per_device_eval_batch_size", "prediction_loss_only"),
        *("eval_on_start", "eval_do_concat_batches", "eval_use_gather_object", "eval_accumulation_steps"),
        *("include_for_metrics", "batch_eval_metrics", "generate_during_eval", "num_generations_eval"),
        *("save_only_model", "save_strategy", "save_on_each_node", "metric_for_best_model"),
        *("greater_is_better", "push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy"),
        *("hub_always_push", "hub_revision", "log_completions", "log_multimodal", "num_completions_to_print"),
        *("log_unique_prompts", "log_completions_hub_repo", "env"),
    }
)
IGNORED = _UNUSED_KNOBS | _PROGRAM | _TRAIL

KNOWN = frozenset().union(*TAKEN.values(), NEUTRAL, WORKSPACE, DIFFERENT, IGNORED)
"""Every key that one of the trainers has."""
