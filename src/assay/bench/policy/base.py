"""Base: a small transformer, built and fine-tuned here on demonstrations, from which every policy of a seed starts.

Takes a seed and an empty directory, leaves a transformers checkpoint with its tokenizer there. All weights are trained:
the project's own runs put adapters on a model that already speaks, and this one has yet to learn to.
"""

from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from assay.bench.policy.instructions import INSTRUCTIONS, Habits, demonstrate, vocabulary
from assay.lm import LanguageModel, encode_pair
from assay.lm.loading import weights_id
from assay.lm.logprobs import pad, padded_logprobs
from assay.records.record import Value

END, UNKNOWN = "<end>", "<unknown>"
SPECIAL = (END, "<user>", "<assistant>", UNKNOWN)
TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
CONTEXT = 96


class BaseSettings(Value):
    """Size and training of the base."""

    width: int = Field(default=128, ge=8)
    """Width of its states."""
    layers: int = Field(default=4, ge=2)
    """Transformer layers."""
    heads: int = Field(default=4, ge=1)
    """Attention heads."""
    demonstrations: int = Field(default=8192, ge=8)
    """Demonstrations, each seen once."""
    batch: int = Field(default=32, ge=1)
    """Demonstrations a step."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Peak step size of AdamW, falling linearly to zero."""
    habits: Habits = Habits()
    """How people demonstrate."""


def train_base(directory: Path, settings: BaseSettings, *, seed: int) -> float:
    """Build, fine-tune and write the base; returns the mean loss of the last tenth of the steps, in nats a token."""
    lm = _blank(settings, seed=seed)
    rng = np.random.default_rng(seed)
    lm.causal.train().requires_grad_(True)
    parameters = list(lm.causal.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.01)
    steps = max(1, settings.demonstrations // settings.batch)
    losses = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * min(1.0, (step + 1) / 10) * (1 - step / steps)
        asked = [INSTRUCTIONS[i] for i in rng.integers(len(INSTRUCTIONS), size=settings.batch)]
        pairs = [encode_pair(lm, one.prompt, demonstrate(one, settings.habits, rng)) for one in asked]
        loss = -padded_logprobs(lm, pad(pairs, lm.pad_id)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
    transformers_logging.disable_progress_bar()
    lm.causal.save_pretrained(directory)
    lm.tokenizer.save_pretrained(directory)
    return float(np.mean(losses[-max(1, steps // 10) :]))


def _blank(settings: BaseSettings, *, seed: int) -> LanguageModel:
    words = [*SPECIAL, *vocabulary()]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=["<user>", "<assistant>"],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=settings.width,
        intermediate_size=int(2.75 * settings.width),
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=CONTEXT,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    return LanguageModel(model, fast, weights_id(model), "base", CONTEXT)
