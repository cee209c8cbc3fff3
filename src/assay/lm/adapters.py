"""Adapters: adds LoRA weights to a model, saves and loads them, and switches between policy and reference.

The base never changes: the reference of a first policy is the base with adapters off, that of a later one is the
earlier policy's adapter, loaded beside the one in training.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from pydantic import Field
from safetensors.torch import load_file, save_file

from assay.lm.loading import LanguageModel
from assay.records.errors import ModelError, explain
from assay.records.record import Value

POLICY = "default"
"""Peft's name for the adapter in training; it saves this one without a sub-folder, as users expect."""


class LoraSettings(Value):
    """Size and place of the adapter (Hu et al. 2021, arXiv 2106.09685)."""

    r: int = Field(default=16, ge=1)
    """Rank."""
    alpha: int = Field(default=32, ge=1)
    """Scale: the update is multiplied by alpha / r."""
    top_layers: int | None = Field(default=None, ge=1)
    """Adapt only this many layers at the top; no gradient flows below them, so a step costs less. None adapts all."""
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    """Names of the adapted linear layers."""


def add_lora(lm: LanguageModel, settings: LoraSettings, *, seed: int) -> None:
    """Add a fresh adapter that starts as the identity, in place."""
    count = lm.causal.config.num_hidden_layers
    top = None if settings.top_layers is None else list(range(max(0, count - settings.top_layers), count))
    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules=list(settings.targets),
        layers_to_transform=top,
        bias="none",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(seed)
        lm.model = get_peft_model(lm.causal, config, adapter_name=POLICY)
    _in_float32(lm.model)


def load_adapter(lm: LanguageModel, directory: Path, *, name: str = POLICY, is_trainable: bool = False) -> None:
    """Load an adapter directory under a name, in place, and make it active. Raises ModelError when it cannot."""
    try:
        with _quiet():
            if isinstance(lm.model, PeftModel):
                lm.model.load_adapter(str(directory), adapter_name=name, is_trainable=is_trainable)
            else:
                model, path = lm.model, str(directory)
                lm.model = PeftModel.from_pretrained(model, path, adapter_name=name, is_trainable=is_trainable)
            lm.model.set_adapter(name)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        do = "check that the adapter was trained on this base model"
        got = str(error).splitlines()[0]
        raise ModelError(explain(expected=f"a LoRA adapter in {directory}", got=got, do=do)) from error
    if not is_trainable:
        for parameter_name, parameter in lm.model.named_parameters():
            if f".{name}." in parameter_name:
                parameter.requires_grad_(False)
    _in_float32(lm.model)


def save_adapter(lm: LanguageModel, directory: Path) -> None:
    """Write the policy's adapter as `adapter_config.json` and `adapter_model.safetensors`."""
    # Not peft's `save_pretrained`: it fills in a model card at each call, which takes longer than all the rest.
    directory.mkdir(parents=True, exist_ok=True)
    weights = get_peft_model_state_dict(lm.model, adapter_name=POLICY, save_embedding_layers=False)
    contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(contiguous, directory / "adapter_model.safetensors", metadata={"format": "pt"})
    replace(lm.model.peft_config[POLICY], inference_mode=True).save_pretrained(str(directory))
    # peft writes sets in an order of each process's own; the same adapter must have the same content hash.
    config = directory / "adapter_config.json"
    plain = json.loads(config.read_text(encoding="utf-8"))
    ordered = {key: sorted(value) if _is_names(value) else value for key, value in plain.items()}
    config.write_text(json.dumps(ordered, indent=2, sort_keys=True), encoding="utf-8")


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def restore_weights(lm: LanguageModel, directory: Path) -> None:
    """Copy saved weights into the policy's adapter, bit for bit."""
    saved = load_file(directory / "adapter_model.safetensors")
    current = policy_parameters(lm)
    for key, tensor in saved.items():
        name = key.replace(".weight", f".{POLICY}.weight")
        with torch.no_grad():
            current[name].copy_(tensor)


def policy_parameters(lm: LanguageModel) -> dict[str, Any]:
    """The adapter's parameters in training, by name."""
    return {name: p for name, p in lm.model.named_parameters() if f".{POLICY}." in name}


def lowest_adapted_layer(lm: LanguageModel) -> int:
    """Number (from 0) of the lowest layer that any loaded adapter touches; 0 too where one lies outside the layers."""
    places = [re.search(r"\.layers\.(\d+)\.", name) for name, _ in lm.model.named_parameters() if ".lora_" in name]
    return min((int(place[1]) if place else 0 for place in places), default=0)


def adapter_id(lm: LanguageModel, name: str) -> str:
    """SHA-256 (hex) over names and values of a loaded adapter's weights."""
    sha = hashlib.sha256()
    for key, parameter in sorted(lm.model.named_parameters()):
        if f".{name}." in key:
            sha.update(key.encode())
            sha.update(parameter.detach().float().numpy().tobytes())
    return sha.hexdigest()


@contextmanager
def using_adapter(lm: LanguageModel, name: str | None) -> Iterator[None]:
    """Run the block with another adapter active, or with none (the base)."""
    if not isinstance(lm.model, PeftModel):
        yield
    elif name is None:
        with lm.model.disable_adapter():
            yield
    else:
        before = lm.model.active_adapter
        trainable = {n for n, p in lm.model.named_parameters() if p.requires_grad}
        lm.model.set_adapter(name)
        try:
            yield
        finally:
            lm.model.set_adapter(before)
            for n, p in lm.model.named_parameters():
                p.requires_grad_(n in trainable)


@contextmanager
def _quiet() -> Iterator[None]:
    # peft asks for an attribute that transformers has renamed; nothing here depends on it.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        yield


def _in_float32(model: Any) -> None:
    # Adam's updates vanish in bfloat16; the adapter is small, so its weights stay exact.
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()
