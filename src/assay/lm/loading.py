"""Loading: opens a language model from the bundled default, a local directory or a hub id."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from assay.lm.bundled import bundled_directory
from assay.records.errors import ConfigError, ModelError, explain


@dataclass
class LanguageModel:
    """A causal language model with its tokenizer.

    `model` maps ids [batch, length] to logits [batch, length, vocabulary]; adapters are added to it in place. `id`
    is the hash of the base weights: two directories with the same weights are the same model.
    """

    model: Any
    tokenizer: Any
    id: str
    source: str
    context_length: int

    @property
    def body(self) -> Any:
        """The transformer without its head: ids [batch, length] to hidden states [batch, length, width]."""
        return self.causal.model

    @property
    def causal(self) -> Any:
        """The causal model itself, under any adapter wrapping."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def eos_ids(self) -> frozenset[int]:
        """Token ids that end a completion."""
        ids = {self.tokenizer.eos_token_id}
        configured = getattr(self.causal.generation_config, "eos_token_id", None)
        ids |= set(configured) if isinstance(configured, list) else {configured}
        return frozenset(i for i in ids if i is not None)

    @property
    def pad_id(self) -> int:
        """The id that fills rows; it is masked everywhere."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)


def load(source: str = "default", *, adapter: Path | None = None, dtype: torch.dtype | None = None) -> LanguageModel:
    """Open a model: `default`, a directory with a transformers checkpoint, or a hub id; optionally with an adapter.

    Raises ModelError when there is no such model, or the hub would be needed while offline.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    path = str(bundled_directory()) if source == "default" else source
    is_local = Path(path).is_dir()
    if not is_local and (path.startswith((".", "/", "~")) or path.count("/") != 1):
        do = "name an existing directory, a hub id as owner/name, or `default`"
        raise ModelError(explain(expected="a model", got=f"{source!r}, which is no directory", do=do))
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype or native_dtype())
    except (OSError, ValueError, KeyError) as error:
        offline = " while offline" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        do = "check the name, download the model to a directory first, or use `model: default`"
        got = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        raise ModelError(explain(expected=f"a loadable model {source!r}{offline}", got=got, do=do)) from error
    model.eval().requires_grad_(False)
    context = int(getattr(model.config, "max_position_embeddings", 2048))
    lm = LanguageModel(model, tokenizer, weights_id(model), source, context)
    if adapter is not None:
        from assay.lm.adapters import load_adapter  # adapters needs LanguageModel

        load_adapter(lm, adapter)
    return lm


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What weights are loaded as, by the name that `$ASSAY_DTYPE` may give."""


def native_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it natively (avx512_bf16, amx_bf16), float32 otherwise.

    Without that support bfloat16 is emulated and slower than float32. `$ASSAY_DTYPE` overrules the processor, so that a
    run has the same numbers on another one. Raises ConfigError for anything but the names of the two.
    """
    asked = os.environ.get("ASSAY_DTYPE")
    if asked is not None:
        if asked not in DTYPES:
            do = "name one of them, or unset it to leave it to the processor"
            raise ConfigError(explain(expected=f"{' or '.join(DTYPES)} in ASSAY_DTYPE", got=repr(asked), do=do))
        return DTYPES[asked]
    if torch.cuda.is_available():
        return torch.bfloat16
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return torch.float32
    return torch.bfloat16 if "avx512_bf16" in flags or "amx_bf16" in flags else torch.float32


def weights_id(model: torch.nn.Module) -> str:
    """SHA-256 (hex) over names, shapes and a thousand spread values of each tensor: quick, and training shows."""
    sha = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().reshape(-1)
        step = max(1, flat.numel() // 1000)
        sha.update(f"{name}{tuple(tensor.shape)}".encode())
        sha.update(flat[::step].float().numpy().tobytes())
    return sha.hexdigest()
