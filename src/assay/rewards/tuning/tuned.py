"""Tuned reward: a language model whose own weights were trained to reward, with a head on its last token's final state.

`TunedWeights` is what training leaves of one member (LoRA or all weights, and the head); `TunedReward` puts members
into a language model one after the other and scores; `warm_average` makes one member of several by averaging their
weights (WARM, Ramé et al. 2024, arXiv 2401.12187): one member's cost, and less of each member's own errors.
"""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from peft import PeftModel
from pydantic import Field, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from assay.lm import LanguageModel, LoraSettings, add_lora, encode_pair
from assay.lm.adapters import policy_parameters
from assay.lm.batching import by_length
from assay.lm.chat import EncodedPair
from assay.lm.loading import weights_id
from assay.records.conversation import Prompt
from assay.records.errors import ModelError, StorageError, TrainingError, explain
from assay.records.record import Value
from assay.records.reward import RewardKind
from assay.rewards.aggregation import AGGREGATION_NAMES, aggregate
from assay.rewards.calibration import Calibrator, IsotonicMap
from assay.rewards.protocol import Texts
from assay.rewards.scores import RewardScores
from assay.rewards.tuning.shared_prompt import last_states

Method = Literal["lora", "full"]
HEAD = "reward.head"
"""The head's name among a member's tensors."""


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
    isotonic: IsotonicMap | None = None
    _installed: list[int] = field(default_factory=list, init=False, repr=False)

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
            if self._installed != [number]:
                install(self.lm, member)
                self._installed[:] = [number]
            scored.append((raw_rewards(self.lm, member.head, pairs) - member.shift) / member.scale)
        members = np.stack(scored, axis=1)
        return RewardScores(
            reward=aggregate(members, self.aggregation),
            members=members,
            disagreement=members.std(1),
            outlier=np.zeros(len(pairs), dtype=bool),
            are_estimates=len(self.members) > 1,
            knows_outliers=False,
        )

    def score_on(self, texts: Texts) -> RewardScores:
        """Score the words, with this reward's own model."""
        return self.score_texts(texts.prompts, texts.completions)

    @property
    def kind(self) -> RewardKind:
        """The form that it is stored in."""
        return "tuned"

    @property
    def calibrator(self) -> Calibrator:
        """How margins of this reward become probabilities."""
        return Calibrator(self.temperature, self.isotonic)

    def calibrated(self, calibrator: Calibrator) -> "TunedReward":
        """The same reward, in the same model, under another calibration."""
        other = copy.copy(self)
        other.temperature, other.isotonic = calibrator.temperature, calibrator.isotonic
        return other

    def unshaped(self) -> "TunedReward":
        """The same: tuned weights are not shaped."""
        return self

    def with_aggregation(self, name: str) -> "TunedReward":
        """The same members, in the same model, under another aggregation; calibration stays that of the old one."""
        other = copy.copy(self)
        other.aggregation = name
        return other

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
        """Write `reward.json` and one safetensors file a member: its adapter or weights, and its head."""
        described = []
        for number, member in enumerate(self.members):
            tensors = {name: tensor.contiguous() for name, tensor in member.tensors.items()}
            save_file(tensors | {HEAD: member.head}, directory / f"member-{number}.safetensors")
            described.append(_Described(base=member.base, lora=member.lora, shift=member.shift, scale=member.scale))
        curve = None if self.isotonic is None else {k: v.tolist() for k, v in self.isotonic._asdict().items()}
        form = _Form(
            members=tuple(described), aggregation=self.aggregation, temperature=self.temperature, isotonic=curve
        )
        plain = json.dumps(form.model_dump(mode="json"), indent=1, sort_keys=True)
        (directory / "reward.json").write_text(plain, encoding="utf-8")

    @classmethod
    def open(cls, lm: LanguageModel, directory: Path) -> "TunedReward":
        """Read what `save` wrote. Raises StorageError when there is none, ModelError when it is of another model."""
        try:
            form = _Form.model_validate_json((directory / "reward.json").read_bytes())
            members = tuple(_member(directory, number, one) for number, one in enumerate(form.members))
            curve = None if form.isotonic is None else {k: np.array(v) for k, v in form.isotonic.items()}
            isotonic = None if curve is None else IsotonicMap(**curve)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            expected = f"a tuned reward in {directory}"
            raise StorageError(explain(expected=expected, got=str(error), do="train it again")) from error
        return cls(lm, members, form.aggregation, form.temperature, isotonic)


class _Described(Value):
    base: str
    lora: LoraSettings | None
    shift: float
    scale: float = Field(gt=0)


class _Form(Value):
    kind: Literal["tuned"] = "tuned"
    members: tuple[_Described, ...] = Field(min_length=1)
    aggregation: str
    temperature: float = Field(gt=0)
    isotonic: dict[Literal["margins", "probabilities"], tuple[float, ...]] | None = None

    @field_validator("aggregation")
    @classmethod
    def _aggregation_exists(cls, value: str) -> str:
        if value not in AGGREGATION_NAMES:
            raise ValueError(f"expected one of {sorted(AGGREGATION_NAMES)}; got {value!r}")
        return value


def _member(directory: Path, number: int, described: _Described) -> TunedWeights:
    tensors = load_file(directory / f"member-{number}.safetensors")
    head = tensors.pop(HEAD).clone()  # in memory of its own: where a file's bytes lie moves the last digit
    return TunedWeights(described.base, described.lora, tensors, head, described.shift, described.scale)


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
