"""Fine-tuning: trains a language model's own weights into a reward, by LoRA or in full, on Bradley-Terry pairs.

    minimise  sum_i w_i [ -p_i log s(d_i - m_i) - (1 - p_i) log s(-d_i - m_i) ] / sum_i w_i
              + eta mean_i (r+_i + r-_i)^2,        d_i = r+_i - r-_i,  r = head . last state

over batches of pairs: the objective of `bradley_terry`, with the backbone free to move. The head starts where a frozen
one ends (`last_state`), which spares the backbone the worst of the first steps (linear probing first; Kumar et al.
2022, arXiv 2202.10054) and gives all seeds one start, as weight averaging needs. A pair shares the computation of its
prompt; a step is cut into micro-batches of like length by tokens, and its gradient does not depend on the cut. A seed
decides the order of the pairs and the adapter's first weights, and nothing else is random.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field, field_validator
from torch.nn.functional import softplus

from assay.lm import LanguageModel, LoraSettings, encode_pair
from assay.lm.batching import by_length
from assay.lm.chat import require_context
from assay.lm.step_size import step_size_factor
from assay.records.errors import TrainingError, explain
from assay.records.preference import Preference
from assay.records.record import Value
from assay.rewards.aggregation import AGGREGATIONS
from assay.rewards.tuning.shared_prompt import EncodedChoice, choice_states
from assay.rewards.tuning.tuned import TunedWeights, open_for_training

Progress = Callable[[int, dict[str, float]], object]


class FinetuneSettings(Value):
    """Settings of a reward that tunes the model's weights."""

    lora: LoraSettings | None = LoraSettings()
    """Size and place of the adapter; null tunes all weights."""
    starts_frozen: bool = True
    """Whether the head starts as the best one on the frozen model; otherwise it starts at zero."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak step size of AdamW for the model's weights."""
    head_learning_rate: float = Field(default=3e-4, gt=0)
    """Peak step size for the head."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the step size rises from zero."""
    lr_scheduler_type: Literal["constant", "linear"] = "linear"
    """After the warm-up: hold the step size, or let it fall to zero."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    num_train_epochs: int = Field(default=1, ge=1)
    """Passes over the preferences. Rewards over-fit in a second pass; raise it for very few preferences only."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after so many steps, whatever the epochs say."""
    per_device_train_batch_size: int = Field(default=16, ge=1)
    """Preferences a step."""
    micro_batch_tokens: int = Field(default=4096, ge=1)
    """Gradients are accumulated over micro-batches of at most so many padded tokens; only memory depends on it."""
    soft_labels: bool = True
    """Use the aggregation's probability as label; otherwise each preference counts as certain."""
    margin: float = Field(default=0.0, ge=0)
    """Share of a preference's own margin by which the chosen completion has to win."""
    sum_to_zero: float = Field(default=0.01, ge=0)
    """Weight of the sum-to-zero term."""
    aggregation: str = "mean"
    """How the seeds' members become one reward: single, mean, wco, uwo or entropic."""
    members: int = Field(default=1, ge=1)
    """Members of the reward, each trained with a seed of its own."""
    is_averaged: bool = False
    """Whether the seeds' weights are averaged into one member (WARM) instead of kept as an ensemble."""
    calibration_share: float = Field(default=0.25, gt=0, lt=1)
    """Share of prompts held out of the fit for temperature and quality."""

    @field_validator("aggregation")
    @classmethod
    def _aggregation_exists(cls, value: str) -> str:
        if value not in AGGREGATIONS:
            raise ValueError(f"expected one of {sorted(AGGREGATIONS)}, or `is_averaged` for WARM; got {value!r}")
        return value


class PairTerms(NamedTuple):
    """What a loss needs to know of pairs: label `probability`, `weight` and `margin`, each [pairs]."""

    probability: torch.Tensor
    weight: torch.Tensor
    margin: torch.Tensor

    def take(self, rows: Sequence[int]) -> "PairTerms":
        """The terms of some pairs."""
        return PairTerms(self.probability[rows], self.weight[rows], self.margin[rows])


class Finetuned(NamedTuple):
    """The trained member, unstandardised, and the log: one dictionary a step."""

    weights: TunedWeights
    log: list[dict[str, float]]


def pair_losses(rewards: torch.Tensor, terms: PairTerms) -> torch.Tensor:
    """Weighted loss [pairs] of rewards [2, pairs], the sum-to-zero term aside; no sum or mean is taken."""
    d, p = rewards[0] - rewards[1], terms.probability
    return terms.weight * (p * softplus(terms.margin - d) + (1 - p) * softplus(terms.margin + d))


def finetune(
    lm: LanguageModel,
    preferences: Sequence[Preference],
    settings: FinetuneSettings,
    *,
    seed: int,
    head: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Finetuned:
    """Tune the model, in place, from a head [width] (default zeros). The model is the reward's from then on.

    Raises InputError that lists pairs longer than the context; TrainingError for no pairs, or when a loss or gradient
    is not finite; ModelError when the model carries an adapter.
    """
    if not preferences:
        do = "collect judgements that prefer one completion over another"
        raise TrainingError(explain(expected="at least one preference to fit a reward on", got="none", do=do))
    choices, base = encode_choices(lm, preferences), lm.id
    terms = PairTerms(
        probability=torch.tensor([p.probability if settings.soft_labels else 1.0 for p in preferences]),
        weight=torch.tensor([p.weight for p in preferences]),
        margin=torch.tensor([settings.margin * p.margin for p in preferences]),
    )
    parameters = open_for_training(lm, settings.lora, seed=seed)
    start = np.zeros(lm.causal.config.hidden_size) if head is None else head
    top = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
    optimizer = torch.optim.AdamW(
        [
            {"params": list(parameters.values()), "peak": settings.learning_rate},
            {"params": [top], "peak": settings.head_learning_rate},
        ],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    batches = _batches(len(choices), settings, np.random.default_rng(seed))
    log: list[dict[str, float]] = []
    for step, rows in enumerate(batches):
        factor = step_size_factor(
            step, len(batches), warmup_ratio=settings.warmup_ratio, kind=settings.lr_scheduler_type
        )
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        entry = _accumulate(lm, top, [choices[i] for i in rows], terms.take(rows), settings)
        norm = torch.nn.utils.clip_grad_norm_([*parameters.values(), top], settings.max_grad_norm)
        entry |= {"step": step + 1, "grad_norm": float(norm)}
        _require_finite(entry)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        log.append(entry)
        if progress is not None:
            progress(step + 1, entry)
    kept = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    return Finetuned(TunedWeights(base, settings.lora, kept, top.detach().clone()), log)


def encode_choices(lm: LanguageModel, preferences: Sequence[Preference]) -> list[EncodedChoice]:
    """Token ids of preferences. Raises InputError that lists those with a side longer than the model's context."""
    choices, lengths = [], []
    for number, preference in enumerate(preferences):
        chosen = encode_pair(lm, preference.prompt, preference.chosen)
        rejected = encode_pair(lm, preference.prompt, preference.rejected)
        choices.append(EncodedChoice(chosen.prompt, chosen.completion, rejected.completion))
        longest = len(chosen.prompt) + max(len(chosen.completion), len(rejected.completion))
        lengths.append((f"preference {number} ({preference.short_id})", longest))
    require_context(lm, lengths)
    return choices


def _batches(count: int, settings: FinetuneSettings, rng: np.random.Generator) -> list[list[int]]:
    """Rows of each step: every epoch in a new order, whole batches and one rest."""
    size = settings.per_device_train_batch_size
    orders = [rng.permutation(count).tolist() for _ in range(settings.num_train_epochs)]
    return [order[i : i + size] for order in orders for i in range(0, count, size)][: settings.max_steps]


def _accumulate(
    lm: LanguageModel,
    head: torch.Tensor,
    choices: Sequence[EncodedChoice],
    terms: PairTerms,
    settings: FinetuneSettings,
) -> dict[str, float]:
    """Add the step's gradient to the parameters, micro-batch by micro-batch; numbers to log under TRL's names."""
    total_weight = float(terms.weight.sum()) or 1.0
    loss, right, gaps = 0.0, 0, 0.0
    tokens = [choice.tokens for choice in choices]
    for rows in by_length(tokens, max_rows=len(choices), max_tokens=settings.micro_batch_tokens):
        rewards = choice_states(lm, [choices[i] for i in rows]) @ head
        centre = settings.sum_to_zero * rewards.sum(0).square().sum() / len(choices)
        part = pair_losses(rewards, terms.take(rows)).sum() / total_weight + centre
        part.backward()
        with torch.no_grad():
            loss += float(part)
            right += int((rewards[0] > rewards[1]).sum())
            gaps += float((rewards[0] - rewards[1]).sum())
    count = len(choices)
    return {"loss": loss, "accuracy": right / count, "margin": gaps / count, "num_tokens": float(sum(tokens))}


def _require_finite(entry: dict[str, float]) -> None:
    if not math.isfinite(entry["loss"]) or not math.isfinite(entry["grad_norm"]):
        do = "look at the preferences of this step, or run anew with a lower learning_rate"
        got = f"loss {entry['loss']}, gradient norm {entry['grad_norm']} at step {entry['step']}"
        raise TrainingError(explain(expected="a finite loss and gradient", got=got, do=do))
