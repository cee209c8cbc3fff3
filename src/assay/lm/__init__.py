"""Lm: loads a language model; takes prompts, yields completions, exact log-probabilities and hidden states.

`loading` finds and opens a model (the bundled SmolLM2, a directory, a hub id), `bundled` de-quantises the default once,
`chat` turns messages into tokens, `generation` samples, `logprobs` scores, `hidden` reads features, `adapters` adds,
saves and switches LoRA weights, `batching` cuts work into batches of like length, `step_size` is an optimiser's
schedule.
"""

from assay.lm.adapters import LoraSettings, add_lora, load_adapter, save_adapter, using_adapter
from assay.lm.chat import count_tokens, encode_pair, encode_prompt
from assay.lm.generation import Completion, Sampling, generate, stream
from assay.lm.hidden import HiddenFeatures, hidden_features
from assay.lm.loading import LanguageModel, load
from assay.lm.logprobs import completion_logprobs, kl_to_reference

__all__ = [
    "Completion",
    "HiddenFeatures",
    "LanguageModel",
    "LoraSettings",
    "Sampling",
    "add_lora",
    "completion_logprobs",
    "count_tokens",
    "encode_pair",
    "encode_prompt",
    "generate",
    "hidden_features",
    "kl_to_reference",
    "load",
    "load_adapter",
    "save_adapter",
    "stream",
    "using_adapter",
]
