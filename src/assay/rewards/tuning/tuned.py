"""Tuned reward: a language model whose own weights were trained to reward, with a head on its last token's final state.

`TunedWeights` is what training leaves of one member (LoRA or all weights, and the head); `TunedReward` puts members
into a language model one after the other and scores; `warm_average` makes one member of several by averaging their
weights (WARM, Ramé et al. 2024, arXiv 2401.12187): one member's cost, and less of each member's own errors.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from assay.lm import LanguageModel, LoraSettings, add_lora, encode_pair
from assay.lm.adapters import policy_parameters
from assay.lm.batching import by_length
from assay.lm.chat import EncodedPair
from assay.lm.loading import weights_id
from assay.records.conversation import Prompt
from assay.records.errors import ModelError, StorageError, TrainingError, explain
from assay.rewards.aggregation import aggregate
from assay.rewards.ensemble import RewardScores
from assay.rewards.tuning.shared_prompt import last_states

Method = Literal["lora", "full"]


class TunedWeights(NamedTuple):
    """One trained member: `tensors` by parameter name, the `head` [width], and what standardises its reward.

    `base` is the identity of the model it was trained from; `lora` is None where all weights were trained.
    """

    base: str
    lora: LoraSettings | None
    tensors: dict[str, torch.Tensor]
    head: torch.Tensor
    shift: float = 0.0
    scale: float = 1.0

    @property
    def method(self) -> Method:
        """`lora` or `full`."""
        return "full" if self.lora is None else "lora"


def open_for_training(lm: LanguageModel, lora: LoraSettings | None, *, seed: int) -> dict[str, torch.nn.Parameter]:
    """The parameters to train, by name; a fresh adapter is added, or the whole body put in float32 and freed.

    Raises ModelError when the model carries an adapter already: it would become part of the reward unseen.
    """
    if isinstance(lm.model, PeftModel):
        do = "open the base model anew for the reward"
        raise ModelError(explain(expected="a model without adapters to tune into a reward", got="one with", do=do))
    if lora is not None:
        add_lora(lm, lora, seed=seed)
        return policy_parameters(lm)
    lm.causal.float()
    parameters = dict(lm.body.named_parameters())
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    return parameters


def install(lm: LanguageModel, weights: TunedWeights) -> None:
    """Put a member's weights into the model, in place of those it carries; the model is the reward's from then on."""
    if weights.lora is None:
        lm.causal.float()
        current = dict(lm.body.named_parameters())
    else:
        current = policy_parameters(lm)
        if {n: p.shape for n, p in current.items()} != {n: t.shape for n, t in weights.tensors.items()}:
            if isinstance(lm.model, PeftModel):
                lm.model = lm.model.unload()
            add_lora(lm, weights.lora, seed=0)
            current = policy_parameters(lm)
    with torch.no_grad():
        for name, tensor in weights.tensors.items():
            current[name].copy_(tensor)
    lm.model.requires_grad_(False)
    if weights.lora is None:
        lm.id = weights_id(lm.causal)


@torch.no_grad()
def raw_rewards(
    lm: LanguageModel, head: torch.Tensor, pairs: Sequence[EncodedPair], *, batch_tokens: int = 8192
) -> np.ndarray:
    """Rewards float64 [n] of encoded completions under the weights that the model carries now."""
    rewards = np.zeros(len(pairs))
    lengths = [len(pair.prompt) + len(pair.completion) for pair in pairs]
    for batch in by_length(lengths, max_rows=64, max_tokens=batch_tokens):
        rewards[batch] = (last_states(lm, [pairs[i] for i in batch]) @ head).double().numpy()
    return rewards


@dataclass
class TunedReward:
    """One or more members over one language model, which this reward has for itself.

    Members are standardised and aggregated like any ensemble's. Completions unlike any known are not told apart: no
    outlier model stands behind tuned weights.
    """

    lm: LanguageModel
    members: tuple[TunedWeights, ...]
    aggregation: str = "mean"
    temperature: float = 1.0
    _installed: int | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Raise ModelError when the members belong to another model than this one."""
        others = sorted({member.base[:12] for member in self.members} - {self.lm.id[:12]})
        if others or not self.members:
            got = f"members of {', '.join(others)}" if others else "no members"
            do = "open the model that the reward was trained from"
            raise ModelError(explain(expected=f"members trained from model {self.lm.id[:12]}", got=got, do=do))

    def score_texts(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> RewardScores:
        """Scores of n completions; with several members, each is put into the model in turn."""
        pairs = [encode_pair(self.lm, prompt, text) for prompt, text in zip(prompts, completions, strict=True)]
        scored = []
        for number, member in enumerate(self.members):
            if self._installed != number:
                install(self.lm, member)
                self._installed = number
            scored.append((raw_rewards(self.lm, member.head, pairs) - member.shift) / member.scale)
        members = np.stack(scored, axis=1)
        return RewardScores(
            reward=aggregate(members, self.aggregation),
            members=members,
            disagreement=members.std(1),
            outlier=np.zeros(len(pairs), dtype=bool),
        )

    def standardise(self, anchor: Sequence[tuple[Prompt, str]]) -> None:
        """Give each member mean 0 and s.d. 1 on anchor completions, in place."""
        prompts, completions = zip(*anchor, strict=True)
        self.members = tuple(member._replace(shift=0.0, scale=1.0) for member in self.members)
        raw = self.score_texts(prompts, completions).members
        self.members = tuple(
            member._replace(shift=float(values.mean()), scale=float(values.std()) or 1.0)
            for member, values in zip(self.members, raw.T, strict=True)
        )

    def save(self, directory: Path) -> None:
        """Write `tuned.json` and one safetensors file a member."""
        described = []
        for number, member in enumerate(self.members):
            tensors = {name: tensor.contiguous() for name, tensor in member.tensors.items()}
            save_file(tensors | {"reward.head": member.head}, directory / f"member-{number}.safetensors")
            lora = None if member.lora is None else member.lora.model_dump(mode="json")
            described.append({"base": member.base, "lora": lora, "shift": member.shift, "scale": member.scale})
        plain = {"members": described, "aggregation": self.aggregation, "temperature": self.temperature}
        (directory / "tuned.json").write_text(json.dumps(plain, indent=1, sort_keys=True), encoding="utf-8")

    @classmethod
    def open(cls, lm: LanguageModel, directory: Path) -> "TunedReward":
        """Read what `save` wrote. Raises StorageError when there is none, ModelError when it is of another model."""
        try:
            plain = json.loads((directory / "tuned.json").read_text(encoding="utf-8"))
            members = tuple(_member(directory, number, one) for number, one in enumerate(plain["members"]))
            return cls(lm, members, plain["aggregation"], plain["temperature"])
        except (OSError, ValueError, KeyError) as error:
            expected = f"a tuned reward in {directory}"
            raise StorageError(explain(expected=expected, got=str(error), do="train it again")) from error


def _member(directory: Path, number: int, described: dict[str, object]) -> TunedWeights:
    tensors = load_file(directory / f"member-{number}.safetensors")
    lora = None if described["lora"] is None else LoraSettings.model_validate(described["lora"])
    head = tensors.pop("reward.head").clone()  # in memory of its own: where a file's bytes lie moves the last digit
    shift, scale = float(str(described["shift"])), float(str(described["scale"]))
    return TunedWeights(str(described["base"]), lora, tensors, head, shift, scale)


def warm_average(members: Sequence[TunedWeights]) -> TunedWeights:
    """One member whose weights are the exact mean of the members' weights, unstandardised.

    LoRA factors are stacked, not averaged: the mean of the products B A is the product of the stacked factors, at rank
    r times the number of members. Raises TrainingError unless all start from one model in one way: weights of
    different starts have no mean that means anything.
    """
    starts = {(member.base, member.lora, tuple(sorted(member.tensors))) for member in members}
    if len(starts) != 1:
        do = "train the members from one model with one choice of weights"
        raise TrainingError(explain(expected="members of one start to average", got=f"{len(starts)}", do=do))
    first, count = members[0], len(members)
    head = torch.stack([member.head for member in members]).mean(0)
    if first.lora is None:
        tensors = {name: torch.stack([m.tensors[name] for m in members]).mean(0) for name in first.tensors}
        return TunedWeights(first.base, None, tensors, head)
    tensors = {}
    for name in first.tensors:
        factors = [member.tensors[name] for member in members]
        tensors[name] = torch.cat(factors, 0) if ".lora_A." in name else torch.cat(factors, 1) / count
    lora = first.lora.model_copy(update={"r": first.lora.r * count, "alpha": first.lora.alpha * count})
    return TunedWeights(first.base, lora, tensors, head)
