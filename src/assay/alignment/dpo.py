"""DPO: optimisation on people's preferences by any of the preference losses, demonstrations mixed in where declared.

The reference's log-probabilities are computed once, before the first step, and only for losses that look at them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from assay.alignment.distributed import ALONE, Group
from assay.alignment.kl_coef import KlCoef
from assay.alignment.losses import Knobs, Pairs, chosen_nll, preference_loss
from assay.alignment.reference import reference_sums
from assay.alignment.settings import DpoSettings
from assay.alignment.sft import epoch_batches
from assay.alignment.surface_offset import surface_offset
from assay.alignment.trainer import PART_TOKENS, StepLoss, counted, whole
from assay.lm import LanguageModel, encode_pair
from assay.lm.adapters import lowest_adapted_layer
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import Body, sequence_logprobs
from assay.lm.lower import LowerStates, can_split
from assay.records.errors import TrainingError, explain
from assay.records.judgement import Demonstration
from assay.records.preference import Preference


class Kept(NamedTuple):
    """Directories for what need not be computed twice, None for not keeping it.

    `reference` holds the reference's log-probabilities, also for other runs on the same pairs; `lower` the states below
    the adapters (`lm.lower`).
    """

    reference: Path | None = None
    lower: Path | None = None


NOTHING_KEPT = Kept()


class DpoTask:
    """One step is one batch of preferences, with its share of demonstrations.

    `kl_coef` is the beta that monitors may raise; a loss without a reference has none. The processes of `group` share
    steps and the reference's log-probabilities out.
    """

    kl_coef: KlCoef
    group: Group

    def __init__(
        self,
        lm: LanguageModel,
        preferences: Sequence[Preference],
        settings: DpoSettings,
        *,
        seed: int,
        ref_adapter: str | None,
        demonstrations: Sequence[Demonstration] = (),
        kept: Kept = NOTHING_KEPT,
        group: Group = ALONE,
    ) -> None:
        if not preferences:
            do = "collect judgements that prefer one completion over another"
            raise TrainingError(explain(expected="at least one preference", got="none", do=do))
        self._lm, self._settings, self.group = lm, settings, group
        self._beta = KlCoef(settings.beta, factor=settings.kl_raise_factor, limit=settings.kl_raise_limit)
        if settings.has_reference:
            self.kl_coef = self._beta
        self._chosen = [encode_pair(lm, p.prompt, p.chosen) for p in preferences]
        self._rejected = [encode_pair(lm, p.prompt, p.rejected) for p in preferences]
        self._labels = _labels(preferences, settings)
        size, epochs = settings.per_device_train_batch_size, settings.num_train_epochs
        self._batches = epoch_batches(len(preferences), size, epochs=epochs, seed=seed, at_most=settings.max_steps)
        self.steps = len(self._batches)
        self._demonstrations = _demonstration_batches(lm, demonstrations, settings, steps=self.steps, seed=seed)
        self._strangers = _strangers(self._chosen, self._rejected, lm) if settings.loss_type == "kto" else []
        used = sorted({i for batch in self._batches for i in batch})
        columns = [self._chosen, self._rejected, *([self._strangers] if self._strangers else [])]
        self._ref = torch.zeros((len(columns), len(preferences)))
        self._body = _lower_states(lm, [column[i] for i in used for column in columns], kept.lower)
        if settings.has_reference:
            wanted = [column[i] for column in columns for i in used]
            sums = reference_sums(lm, wanted, ref_adapter, cache=kept.reference, body=self._body, group=group)
            self._ref[:, used] = sums.reshape(len(columns), -1)

    def loss(self, step: int) -> StepLoss:
        """Mean loss of the step's preferences, plus the declared weights of the SFT term and the demonstrations."""
        return whole(self.parts(step))

    def parts(self, step: int) -> Iterator[StepLoss]:
        """The same in parts that add up, each of at most `PART_TOKENS` packed tokens; longer rows are parts alone."""
        rows = self._batches[step]
        baseline = self._stranger_log_ratio(rows) if self._strangers else None
        once = {"beta": self._beta.value} if self.group.is_leader else {}
        if baseline is not None and self.group.is_leader:
            once["kl"] = max(0.0, float(baseline))
        chosen, rejected = self._chosen, self._rejected
        tokens = [chosen[i].length + len(rejected[i].completion) for i in rows]
        for part in self.group.parts(tokens, max_tokens=PART_TOKENS):
            found = self._preference_part(rows, [rows[k] for k in part.rows], baseline)
            yield counted(part, found._replace(metrics=found.metrics | once))
            once = {}
        if self._demonstrations:
            yield from self._demonstration_parts(self._demonstrations[step])

    def _preference_part(self, step: Sequence[int], rows: Sequence[int], baseline: torch.Tensor | None) -> StepLoss:
        """What some of the step's preferences add to its mean loss and to its metrics."""
        encoded = [self._chosen[i] for i in rows] + [self._rejected[i] for i in rows]
        pairs = _pairs(
            encoded,
            sequence_logprobs(self._lm, encoded, body=self._body),
            self._ref[:2, rows],
            self._labels.probability[rows],
        )
        margin, weight = self._labels.margin, self._labels.weight[rows]
        pairs = pairs._replace(margin=None if margin is None else margin[rows], kl_baseline=baseline)
        settings = self._settings
        terms = preference_loss(settings.loss_type, pairs, settings.knobs(self._beta.value))
        value = (weight * terms.loss).sum() / len(step)
        metrics = _metrics(pairs, terms.chosen_reward, terms.rejected_reward, of=len(step))
        metrics["num_tokens"] = float(sum(len(pair.completion) for pair in encoded))
        tokens = sum(float(self._labels.weight[i]) * len(self._chosen[i].completion) for i in step)
        if settings.weight_of_sft and tokens:
            nll = chosen_nll(pairs, weight, tokens=tokens)
            value = value + settings.weight_of_sft * nll
            metrics["nll_loss"] = float(nll.detach())
        return StepLoss(value, metrics)

    def _demonstration_parts(self, pairs: Sequence[EncodedPair]) -> Iterator[StepLoss]:
        """What the step's demonstrations add: their NLL in nats a token, at its weight."""
        tokens = sum(len(pair.completion) for pair in pairs)
        for part in self.group.parts([pair.length for pair in pairs], max_tokens=PART_TOKENS):
            nll = -sequence_logprobs(self._lm, [pairs[i] for i in part.rows]).sum() / tokens
            metrics = {"demonstrations/nll": float(nll.detach()), "demonstrations/count": float(len(part.rows))}
            yield counted(part, StepLoss(self._settings.demonstrations_weight * nll, metrics))

    def state(self) -> dict[str, Any]:
        """The beta that monitors may have raised: batches follow from the seed, the reference from the base."""
        return {"beta": self._beta.value}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the beta."""
        self._beta.value = state["beta"]

    def _stranger_log_ratio(self, rows: Sequence[int]) -> torch.Tensor:
        """Mean log-ratio of the batch's prompts with completions of other prompts: KTO's baseline, without gradient."""
        found = torch.zeros(())
        tokens = [self._strangers[i].length for i in rows]
        for part in self.group.parts(tokens, max_tokens=sum(tokens)):
            own = [rows[k] for k in part.rows]
            with torch.no_grad():
                policy = sequence_logprobs(self._lm, [self._strangers[i] for i in own], body=self._body)
            found = found + part.counts * (policy - self._ref[2, own]).sum()
        return self.group.total(found) / len(rows)


def dpo_step(
    lm: LanguageModel,
    pairs: Sequence[EncodedPair],
    ref: torch.Tensor,
    *,
    beta: float,
    probability: torch.Tensor | None = None,
) -> StepLoss:
    """Mean DPO loss; `pairs` holds all chosen, then all rejected; `ref` [2, pairs] the reference's sums."""
    label = torch.ones(len(pairs) // 2) if probability is None else probability
    batch = _pairs(pairs, sequence_logprobs(lm, pairs), ref, label)
    terms = preference_loss("sigmoid", batch, Knobs(beta=beta))
    metrics = _metrics(batch, terms.chosen_reward, terms.rejected_reward, of=len(label))
    tokens = float(sum(len(pair.completion) for pair in pairs))
    return StepLoss(terms.loss.mean(), {**metrics, "num_tokens": tokens, "beta": beta})


class _Labels(NamedTuple):
    """What the aggregation says of each preference, as far as the settings ask for it."""

    probability: torch.Tensor
    weight: torch.Tensor
    margin: torch.Tensor | None


def _labels(preferences: Sequence[Preference], settings: DpoSettings) -> _Labels:
    """Weights have mean 1, so that they change what counts and not the step size."""
    probability = np.array([p.probability if settings.soft_labels else 1.0 for p in preferences])
    weight = np.array([p.weight if settings.use_weights else 1.0 for p in preferences])
    if not weight.any():
        do = "set use_weights to false, or collect more judgements a pair"
        raise TrainingError(explain(expected="a preference of some weight", got="only weights of 0", do=do))
    margin = np.array([settings.margin_scale * p.margin for p in preferences])
    if settings.surface_offset:
        margin -= surface_offset(preferences, settings.surface_offset, probability, weight)
    return _Labels(
        torch.tensor(probability, dtype=torch.float32),
        torch.tensor(weight / weight.mean(), dtype=torch.float32),
        torch.tensor(margin, dtype=torch.float32) if settings.has_margin else None,
    )


def _pairs(encoded: Sequence[EncodedPair], sums: torch.Tensor, ref: torch.Tensor, label: torch.Tensor) -> Pairs:
    """The typed batch of a step; `encoded` and `sums` hold all chosen, then all rejected."""
    chosen, rejected = sums.split(len(encoded) // 2)
    tokens = torch.tensor([float(len(pair.completion)) for pair in encoded])
    chosen_tokens, rejected_tokens = tokens.split(len(encoded) // 2)
    return Pairs(chosen, rejected, ref[0], ref[1], chosen_tokens, rejected_tokens, label)


def _lower_states(lm: LanguageModel, pairs: Sequence[EncodedPair], directory: Path | None) -> Body | None:
    """A body whose lower layers are computed once, where there is a directory and layers below every adapter."""
    layers = lowest_adapted_layer(lm)
    if directory is None or layers == 0 or not can_split(lm):
        return None
    return LowerStates(lm, pairs, layers=layers, directory=directory)


def _metrics(pairs: Pairs, chosen_reward: torch.Tensor, rejected_reward: torch.Tensor, *, of: int) -> dict[str, float]:
    """What these pairs add to the means over a step's `of` pairs, by TRL's names."""
    margin = chosen_reward - rejected_reward
    by_pair = {
        "rewards/chosen": chosen_reward,
        "rewards/rejected": rejected_reward,
        "rewards/margins": margin,
        "rewards/accuracies": (margin > 0).float(),
        "logps/chosen": pairs.chosen.detach(),
        "logps/rejected": pairs.rejected.detach(),
    }
    return {name: float(values.sum()) / of for name, values in by_pair.items()}


def _demonstration_batches(
    lm: LanguageModel, demonstrations: Sequence[Demonstration], settings: DpoSettings, *, steps: int, seed: int
) -> list[list[EncodedPair]]:
    """Demonstrations of each step, in an order drawn anew each pass from the seed; none where no share is declared."""
    count = settings.demonstrations_a_step
    if not count:
        return []
    if not demonstrations:
        do = "import demonstrations (rows with prompt and completion), or set demonstrations_share to 0"
        raise TrainingError(explain(expected="demonstrations to mix in", got="none", do=do))
    encoded = [encode_pair(lm, d.prompt, d.completion) for d in demonstrations]
    own = int(np.random.SeedSequence([seed, len(encoded)]).generate_state(1)[0])
    order = [i for (i,) in epoch_batches(len(encoded), 1, epochs=-(-steps * count // len(encoded)), seed=own)]
    return [[encoded[i] for i in order[step * count : (step + 1) * count]] for step in range(steps)]


def _strangers(chosen: Sequence[EncodedPair], rejected: Sequence[EncodedPair], lm: LanguageModel) -> list[EncodedPair]:
    """Each prompt with the completion of the next other prompt that fits the context: by turns a chosen, a rejected."""
    found = []
    for i, pair in enumerate(chosen):
        others = ((i + k) % len(chosen) for k in range(1, len(chosen)))
        kind = chosen if i % 2 else rejected
        room = lm.context_length - len(pair.prompt)
        fitting = (
            kind[j].completion for j in others if chosen[j].prompt != pair.prompt and len(kind[j].completion) <= room
        )
        completion = next(fitting, None)
        if completion is None:
            do = "bring preferences on more prompts, or choose another loss_type"
            got = f"none that fits prompt {i}"
            raise TrainingError(explain(expected="a completion of another prompt for kto's baseline", got=got, do=do))
        found.append(EncodedPair(pair.prompt, completion))
    return found
