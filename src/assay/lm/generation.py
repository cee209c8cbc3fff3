"""Generation: samples completions in batches, each prompt prefilled once, finished rows dropped on the way.

The tokens that all prompts of a batch share at their start (a system message) are prefilled once for the whole batch,
the rest of each prompt once, and the key-value cache is expanded over the `n` samples of a prompt.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from transformers import DynamicCache

from assay.lm.batching import by_length
from assay.lm.chat import encode_prompt, require_room
from assay.lm.loading import LanguageModel
from assay.records.conversation import Message

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Sampling:
    """How to sample. `temperature` 0 is greedy; `top_p` below 1 cuts the tail; `stop` ends at any of these texts."""

    max_tokens: int = 128
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


class Completion(NamedTuple):
    """A sampled completion: its text, its ids (the end token included where it came), and each id's log-probability.

    `logprobs` are those of the model itself (temperature 1, nothing cut off), whatever the sampling was.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason
    prompt_tokens: int


def generate(
    lm: LanguageModel,
    prompts: Sequence[Sequence[Message]],
    sampling: Sampling,
    *,
    n: int = 1,
    batch_rows: int = 96,
    progress: Callable[[int], object] | None = None,
) -> list[Completion]:
    """Sample `n` completions of each prompt; those of one prompt stand together, in the order of the prompts.

    `progress` is called with the number of completions finished. Raises InputError when a prompt is too long.
    """
    encoded = [encode_prompt(lm, prompt) for prompt in prompts]
    require_room(lm, [len(ids) for ids in encoded], sampling.max_tokens)
    generator = torch.Generator().manual_seed(sampling.seed)
    result: list[list[Completion]] = [[] for _ in prompts]
    for batch in by_length([len(ids) for ids in encoded], max_rows=max(1, batch_rows // n)):
        rows = _Rows(lm, [encoded[i] for i in batch], sampling, n)
        for _ in rows.steps(generator):
            pass
        completions = rows.completions()
        for k, i in enumerate(batch):
            result[i] = completions[k * n : (k + 1) * n]
        if progress is not None:
            progress(len(batch) * n)
    return [completion for group in result for completion in group]


def stream(lm: LanguageModel, prompt: Sequence[Message], sampling: Sampling) -> Iterator[str]:
    """Yield the text of one completion piece by piece as it is sampled; the pieces join to what `generate` returns."""
    ids = encode_prompt(lm, prompt)
    require_room(lm, [len(ids)], sampling.max_tokens)
    rows = _Rows(lm, [ids], sampling, 1)
    sent = ""
    for _ in rows.steps(torch.Generator().manual_seed(sampling.seed)):
        text = rows.text(0)
        # A character of several tokens decodes to U+FFFD until its last token is there; a stop text may be half there.
        if not text.endswith("\ufffd") and not _may_stop(text, sampling.stop) and text.startswith(sent):
            yield text[len(sent) :]
            sent = text
    final = rows.completions()[0].text
    if final.startswith(sent) and len(final) > len(sent):
        yield final[len(sent) :]


class _Rows:
    """The state of one batch: cache, live rows, and what each row has sampled so far."""

    def __init__(self, lm: LanguageModel, prompts: list[list[int]], sampling: Sampling, n: int) -> None:
        self._lm, self._sampling = lm, sampling
        self._prompt_tokens = [len(ids) for ids in prompts for _ in range(n)]
        self._ids: list[list[int]] = [[] for _ in self._prompt_tokens]
        self._logprobs: list[list[float]] = [[] for _ in self._prompt_tokens]
        self._finish: list[FinishReason] = ["length"] * len(self._prompt_tokens)
        self._prefill(prompts, n)

    @torch.inference_mode()
    def _prefill(self, prompts: list[list[int]], n: int) -> None:
        shared = len(commonprefix(prompts)) if len(prompts) > 1 else 0
        shared = min(shared, min(len(ids) for ids in prompts) - 1)
        self._cache = DynamicCache(config=self._lm.causal.config)
        if shared:
            self._run(torch.tensor([prompts[0][:shared]]), None, None)
            self._cache.batch_repeat_interleave(len(prompts))
        rest = [ids[shared:] for ids in prompts]
        width = max(len(ids) for ids in rest)
        ids = torch.full((len(rest), width), self._lm.pad_id)
        mask = torch.zeros((len(rest), shared + width), dtype=torch.long)
        mask[:, :shared] = 1
        for row, tokens in enumerate(rest):
            ids[row, width - len(tokens) :] = torch.tensor(tokens)
            mask[row, shared + width - len(tokens) :] = 1
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
        state = self._run(ids, mask, positions)
        self._cache.batch_repeat_interleave(n)
        self._state = state.repeat_interleave(n, 0)
        self._mask = mask.repeat_interleave(n, 0)
        self._alive = torch.arange(len(rest) * n)

    def _run(self, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor | None) -> torch.Tensor:
        """Feed ids [rows, new]; returns the state [rows, width] after the last one."""
        output: Any = self._lm.body(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            cache=self._cache,
            use_cache=True,
        )
        return output.last_hidden_state[:, -1]

    def steps(self, generator: torch.Generator) -> Iterator[None]:
        """Sample until every row has ended, yielding after each token."""
        for _ in range(self._sampling.max_tokens):
            with torch.inference_mode():
                keep = self._sample(generator)
            yield
            if len(keep) == 0:
                return
            with torch.inference_mode():
                self._advance(keep)

    def _sample(self, generator: torch.Generator) -> torch.Tensor:
        logits = self._lm.causal.lm_head(self._state).float()
        tokens = pick(logits, self._sampling, generator)
        logprobs = logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(1)
        keep = []
        for k, (row, token, logprob) in enumerate(
            zip(self._alive.tolist(), tokens.tolist(), logprobs.tolist(), strict=True)
        ):
            self._ids[row].append(token)
            self._logprobs[row].append(logprob)
            if token in self._lm.eos_ids or self._has_stop(row):
                self._finish[row] = "stop"
            else:
                keep.append(k)
        self._tokens = tokens
        return torch.tensor(keep, dtype=torch.long)

    def _advance(self, keep: torch.Tensor) -> None:
        if len(keep) < len(self._alive):
            self._alive, self._mask, self._tokens = self._alive[keep], self._mask[keep], self._tokens[keep]
            self._cache.batch_select_indices(keep)
        self._mask = torch.cat([self._mask, torch.ones((len(keep), 1), dtype=torch.long)], 1)
        positions = self._mask.sum(1, keepdim=True) - 1
        self._state = self._run(self._tokens[:, None], self._mask, positions)

    def _has_stop(self, row: int) -> bool:
        return bool(self._sampling.stop) and _cut(self.text(row), self._sampling.stop) is not None

    def text(self, row: int) -> str:
        """What a row says so far, without special tokens."""
        return str(self._lm.tokenizer.decode(self._ids[row], skip_special_tokens=True))

    def completions(self) -> list[Completion]:
        """All rows as they ended."""
        done = []
        for row, ids in enumerate(self._ids):
            text = self.text(row)
            text = text if not self._sampling.stop else (_cut(text, self._sampling.stop) or text)
            logprobs = tuple(self._logprobs[row])
            done.append(Completion(text, tuple(ids), logprobs, self._finish[row], self._prompt_tokens[row]))
        return done


def pick(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> torch.Tensor:
    """Sample one token [rows] from logits [rows, vocabulary] by inverting the cumulative distribution."""
    if sampling.temperature == 0:
        return logits.argmax(1)
    probabilities = (logits / sampling.temperature).softmax(1)
    if sampling.top_p < 1:
        ordered, order = probabilities.sort(1, descending=True)
        ordered[ordered.cumsum(1) - ordered > sampling.top_p] = 0
        probabilities = torch.zeros_like(probabilities).scatter(1, order, ordered)
    cumulative = probabilities.cumsum(1)
    # (0, total]: never lands on a leading token of probability zero.
    point = (1 - torch.rand((len(logits), 1), generator=generator)) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, point)[:, 0].clamp(max=logits.shape[1] - 1)


def _cut(text: str, stops: tuple[str, ...]) -> str | None:
    places = [text.find(stop) for stop in stops if stop and stop in text]
    return text[: min(places)] if places else None


def _may_stop(text: str, stops: tuple[str, ...]) -> bool:
    return any(stop in text or text.endswith(tuple(stop[:k] for k in range(1, len(stop)))) for stop in stops if stop)


def total_tokens(completions: Sequence[Completion]) -> int:
    """How many tokens were sampled."""
    return int(np.sum([len(completion.token_ids) for completion in completions]))
