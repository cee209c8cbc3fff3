"""SFT: supervised fine-tuning on demonstrations, loss on the completion only."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from assay.alignment.distributed import ALONE, Group
from assay.alignment.losses import sft_loss
from assay.alignment.settings import SftSettings
from assay.alignment.trainer import PART_TOKENS, StepLoss, counted, whole
from assay.lm import LanguageModel, encode_pair
from assay.lm.logprobs import token_logprobs
from assay.records.errors import TrainingError, explain
from assay.records.judgement import Demonstration


class SftTask:
    """One step is one batch of demonstrations, in an order drawn anew each epoch from the seed; `group` shares it."""

    group: Group

    def __init__(
        self,
        lm: LanguageModel,
        demonstrations: Sequence[Demonstration],
        settings: SftSettings,
        *,
        seed: int,
        group: Group = ALONE,
    ) -> None:
        if not demonstrations:
            do = "import demonstrations (rows with prompt and completion), or leave the SFT stage out"
            raise TrainingError(explain(expected="at least one demonstration", got="none", do=do))
        self._lm, self.group = lm, group
        self._pairs = [encode_pair(lm, d.prompt, d.completion) for d in demonstrations]
        size, epochs = settings.per_device_train_batch_size, settings.num_train_epochs
        self._batches = epoch_batches(len(self._pairs), size, epochs=epochs, seed=seed, at_most=settings.max_steps)
        self.steps = len(self._batches)

    def loss(self, step: int) -> StepLoss:
        """Mean NLL in nats a token."""
        return whole(self.parts(step))

    def parts(self, step: int) -> Iterator[StepLoss]:
        """The same in parts of at most `PART_TOKENS` tokens; each token counts once, whichever part it stands in."""
        pairs = [self._pairs[i] for i in self._batches[step]]
        tokens = sum(len(pair.completion) for pair in pairs)
        for part in self.group.parts([pair.length for pair in pairs], max_tokens=PART_TOKENS):
            logprobs = token_logprobs(self._lm, [pairs[i] for i in part.rows])
            share = len(logprobs) / tokens
            yield counted(part, StepLoss(share * sft_loss(logprobs), {"num_tokens": float(len(logprobs))}))

    def state(self) -> dict[str, Any]:
        """Nothing: the batches follow from the seed."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""


def epoch_batches(count: int, size: int, *, epochs: int, seed: int, at_most: int | None = None) -> list[list[int]]:
    """Row numbers of each step: every row once an epoch, each epoch in its own order; the first `at_most` steps."""
    rng = np.random.default_rng(seed)
    batches: list[list[int]] = []
    for _ in range(epochs):
        if at_most is not None and len(batches) >= at_most:
            break
        order = rng.permutation(count).tolist()
        batches += [order[start : start + size] for start in range(0, count, size)]
    return batches[:at_most]
