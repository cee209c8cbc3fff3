"""DPO: direct preference optimisation on people's preferences, the reference's log-probabilities computed once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from assay.alignment.kl_coef import KlCoef
from assay.alignment.losses import dpo_loss
from assay.alignment.settings import DpoSettings
from assay.alignment.sft import epoch_batches
from assay.alignment.trainer import StepLoss
from assay.lm import LanguageModel, completion_logprobs, encode_pair, using_adapter
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import pad, sequence_logprobs
from assay.records.errors import TrainingError, explain
from assay.records.preference import Preference


class DpoTask:
    """One step is one batch of preferences. The reference is scored once, before the first step."""

    def __init__(
        self,
        lm: LanguageModel,
        preferences: Sequence[Preference],
        settings: DpoSettings,
        *,
        seed: int,
        ref_adapter: str | None,
    ) -> None:
        if not preferences:
            do = "collect judgements that prefer one completion over another"
            raise TrainingError(explain(expected="at least one preference", got="none", do=do))
        self._lm = lm
        self.kl_coef = KlCoef(settings.beta, factor=settings.kl_raise_factor, limit=settings.kl_raise_limit)
        self._chosen = [encode_pair(lm, p.prompt, p.chosen) for p in preferences]
        self._rejected = [encode_pair(lm, p.prompt, p.rejected) for p in preferences]
        label = [p.probability if settings.soft_labels else 1.0 for p in preferences]
        self._probability = torch.tensor(label, dtype=torch.float32)
        self._batches = epoch_batches(
            len(preferences), settings.per_device_train_batch_size, epochs=settings.num_train_epochs, seed=seed
        )[: settings.max_steps]
        self.steps = len(self._batches)
        used = sorted({i for batch in self._batches for i in batch})
        self._ref = _reference_sums(lm, self._chosen, self._rejected, used, ref_adapter)

    def loss(self, step: int) -> StepLoss:
        """Mean DPO loss of the step's preferences."""
        rows = self._batches[step]
        pairs = [self._chosen[i] for i in rows] + [self._rejected[i] for i in rows]
        beta, probability = self.kl_coef.value, self._probability[rows]
        return dpo_step(self._lm, pairs, self._ref[:, rows], beta=beta, probability=probability)

    def state(self) -> dict[str, Any]:
        """The beta that monitors may have raised: batches follow from the seed, the reference from the base."""
        return {"beta": self.kl_coef.value}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the beta."""
        self.kl_coef.value = state["beta"]


def dpo_step(
    lm: LanguageModel,
    pairs: Sequence[EncodedPair],
    ref: torch.Tensor,
    *,
    beta: float,
    probability: torch.Tensor | None = None,
) -> StepLoss:
    """Mean DPO loss; `pairs` holds all chosen, then all rejected; `ref` [2, pairs] the reference's sums."""
    sums = sequence_logprobs(lm, pad(pairs, lm.pad_id))
    chosen, rejected = sums.split(len(pairs) // 2)
    terms = dpo_loss(chosen, rejected, ref[0], ref[1], beta=beta, probability=probability)
    margin = terms.chosen_reward - terms.rejected_reward
    metrics = {
        "rewards/chosen": float(terms.chosen_reward.mean()),
        "rewards/rejected": float(terms.rejected_reward.mean()),
        "rewards/margins": float(margin.mean()),
        "rewards/accuracies": float((margin > 0).float().mean()),
        "logps/chosen": float(chosen.detach().mean()),
        "logps/rejected": float(rejected.detach().mean()),
        "beta": beta,
    }
    return StepLoss(terms.loss.mean(), metrics)


def _reference_sums(
    lm: LanguageModel,
    chosen: Sequence[EncodedPair],
    rejected: Sequence[EncodedPair],
    used: Sequence[int],
    ref_adapter: str | None,
) -> torch.Tensor:
    """Reference log-probability sums [2, preferences]; rows that no batch uses stay zero."""
    sums = torch.zeros((2, len(chosen)))
    with using_adapter(lm, ref_adapter):
        scored = completion_logprobs(lm, [chosen[i] for i in used] + [rejected[i] for i in used])
    values = torch.tensor([float(np.sum(part)) for part in scored])
    sums[0, used], sums[1, used] = values.split(len(used))
    return sums
