"""Teachers: earlier policies on the same base, loaded beside the student, and what they say together of the next token.

    arithmetic   mean of the teachers' probabilities: keeps whatever one of them would say
    geometric    mean of their log-probabilities, normalised anew: keeps what none of them thinks unlikely

The geometric mean is the cautious one: where teachers were pushed against different rewards, a habit that only one of
them learnt loses most of its weight.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch.nn.functional import log_softmax

from assay.lm import LanguageModel, load_adapter, using_adapter
from assay.lm.adapters import POLICY
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import token_logits

TeacherMean = Literal["arithmetic", "geometric"]


class Teachers:
    """Adapters on the model's base under names of their own; None stands for the base itself.

    Each is as large as an adapter; a pass over a part's tokens is made for each of them.
    """

    def __init__(self, lm: LanguageModel, adapters: Sequence[Path | None], *, mean: TeacherMean = "geometric") -> None:
        self._lm, self._mean = lm, mean
        self._names: list[str | None] = []
        for number, directory in enumerate(adapters):
            name = None if directory is None else f"teacher-{number}"
            if directory is not None:
                load_adapter(lm, directory, name=f"teacher-{number}")
            self._names.append(name)
        lm.model.set_adapter(POLICY)

    @torch.no_grad()
    def logprobs(self, pairs: Sequence[EncodedPair]) -> torch.Tensor:
        """Log-probabilities [tokens, vocabulary] of the next token at each place of the completions."""
        each = []
        for name in self._names:
            with using_adapter(self._lm, name):
                each.append(log_softmax(token_logits(self._lm, pairs), dim=-1))
        return together(each, self._mean)


def together(logprobs: Sequence[torch.Tensor], mean: TeacherMean) -> torch.Tensor:
    """The mean of distributions, each as log-probabilities [tokens, vocabulary]."""
    stacked = torch.stack(list(logprobs))
    if mean == "arithmetic":
        return stacked.logsumexp(0) - math.log(len(stacked))
    return log_softmax(stacked.mean(0), dim=-1)
