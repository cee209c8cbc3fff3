"""Under test: a loaded language model as the two callables that regression needs. The one torch file of this room."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from numpy.typing import NDArray

from assay.evaluation.regression import LanguageModelUnderTest
from assay.lm import LanguageModel, Sampling, completion_logprobs, encode_pair, generate, using_adapter
from assay.records.conversation import Prompt


def under_test(
    lm: LanguageModel, *, is_reference: bool = False, max_tokens: int = 24, temperature: float = 0.7
) -> LanguageModelUnderTest:
    """Generation with a seed and log-probabilities of given texts, through the model as it stands.

    With `is_reference` the adapter is left out: one loaded model serves as the policy and as its reference.
    """

    def adapter() -> AbstractContextManager[None]:
        return using_adapter(lm, None) if is_reference else nullcontext()

    def texts(prompts: Sequence[Prompt], seed: int) -> list[str]:
        sampling = Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed)
        with adapter():
            return [completion.text for completion in generate(lm, prompts, sampling)]

    def logprobs(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[NDArray[np.floating]]:
        pairs = [encode_pair(lm, *pair) for pair in zip(prompts, completions, strict=True)]
        with adapter():
            return list(completion_logprobs(lm, pairs))

    return LanguageModelUnderTest(texts, logprobs)
