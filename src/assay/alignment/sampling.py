"""Sampling: draws the policy's completions at a step, with their log-probabilities and the reference's.

The same draw serves the method that learns from it and the observer that measures it, so it is made once a step.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from assay.alignment.rollouts import CompletionSource
from assay.lm import LanguageModel, Sampling, completion_logprobs, encode_prompt, generate, using_adapter
from assay.lm.chat import EncodedPair
from assay.records.conversation import Prompt


class Samples(NamedTuple):
    """Completions at one step, n a prompt, those of one prompt together.

    `prompt_index` [m] points into the prompts; `token_ids` holds each completion's ids as sampled and `ref_tokens` the
    reference's log-probability of each; `logprobs` [m] are sums over a completion, in nats, of the policy that drew
    it; `is_finished` [m] is False where the length ran out.
    """

    step: int
    prompt_index: list[int]
    texts: list[str]
    token_ids: list[list[int]]
    logprobs: list[float]
    ref_tokens: list[list[float]]
    is_finished: list[bool]

    @property
    def ref_logprobs(self) -> list[float]:
        """The reference's log-probability [m] of each completion, in nats."""
        return [float(np.sum(each)) for each in self.ref_tokens]

    @property
    def kl(self) -> float:
        """KL(policy || reference) in nats a completion: mean log-ratio of the policy's own samples (k1, unbiased)."""
        return float(np.mean(np.subtract(self.logprobs, self.ref_logprobs)))


class PolicySampler:
    """Draws samples of the policy in training. Keeps the last draw, so that asking twice at a step costs once."""

    def __init__(
        self,
        lm: LanguageModel,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        *,
        n: int,
        ref_adapter: str | None,
        source: CompletionSource = generate,
    ) -> None:
        self.prompts, self._source = tuple(prompts), source
        self._lm, self._sampling, self._n, self._ref = lm, sampling, n, ref_adapter
        self._last: Samples | None = None

    def at(self, step: int) -> Samples:
        """The samples of the policy as it stands before step `step`; the seed depends on the step alone."""
        if self._last is None or self._last.step != step:
            self._last = self._draw(step)
        return self._last

    def reference_texts(self, step: int, prompt_index: Sequence[int]) -> list[str]:
        """Completions of the reference at a step, one for each named prompt, drawn as the policy's are, but here."""
        prompts = [self.prompts[i] for i in prompt_index]
        with using_adapter(self._lm, self._ref):
            return [c.text for c in generate(self._lm, prompts, self._seeded(step, 1))]

    def restore(self, samples: Samples | None) -> None:
        """Take up a draw made before an interruption."""
        self._last = samples

    @property
    def last(self) -> Samples | None:
        """The draw that `at` made last."""
        return self._last

    def _draw(self, step: int) -> Samples:
        completions = self._source(self._lm, self.prompts, self._seeded(step), n=self._n)
        index = [i for i in range(len(self.prompts)) for _ in range(self._n)]
        encoded = [encode_prompt(self._lm, prompt) for prompt in self.prompts]
        pairs = [EncodedPair(encoded[i], list(c.token_ids)) for i, c in zip(index, completions, strict=True)]
        with using_adapter(self._lm, self._ref):
            reference = completion_logprobs(self._lm, pairs)
        return Samples(
            step=step,
            prompt_index=index,
            texts=[c.text for c in completions],
            token_ids=[list(c.token_ids) for c in completions],
            logprobs=[float(np.sum(c.logprobs)) for c in completions],
            ref_tokens=[each.tolist() for each in reference],
            is_finished=[c.finish_reason == "stop" for c in completions],
        )

    def _seeded(self, *place: int) -> Sampling:
        """The sampling with a seed of this place's own."""
        seed = int(np.random.SeedSequence([self._sampling.seed, *place]).generate_state(1)[0])
        return Sampling(
            max_tokens=self._sampling.max_tokens,
            temperature=self._sampling.temperature,
            top_p=self._sampling.top_p,
            seed=seed,
        )


def samples_to_json(samples: Samples | None) -> dict[str, Any] | None:
    """Plain data of a draw."""
    return None if samples is None else samples._asdict()


def samples_from_json(data: dict[str, Any] | None) -> Samples | None:
    """A draw from its plain data."""
    return None if data is None else Samples(**data)
