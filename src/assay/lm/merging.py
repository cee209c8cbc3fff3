"""Merging: writes a model with its adapter worked into the weights, as a directory that transformers opens."""

import copy
from pathlib import Path

from peft import PeftModel

from assay.lm.loading import LanguageModel


def save_merged(lm: LanguageModel, directory: Path) -> None:
    """Write weights, with the active adapter added to them, and tokenizer. The model itself stays as it is.

    In float32, for what an adapter adds is often smaller than the last bit of a bfloat16 weight; takes their memory in
    float32 besides.
    """
    model = copy.deepcopy(lm.model).float()
    merged = model.merge_and_unload() if isinstance(model, PeftModel) else model
    merged.save_pretrained(str(directory))
    lm.tokenizer.save_pretrained(str(directory))
