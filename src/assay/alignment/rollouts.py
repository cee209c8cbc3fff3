"""Rollouts: completions of the policy from an OpenAI-compatible server (vLLM) in place of this process's own sampling.

Takes prompts as token ids, so that the template is the model's own; yields completions whose log-probabilities are
computed here, under the policy, so that ratios are exact whatever the server's numbers are. Token ids are taken where
the server tells them (vLLM does), else the text is tokenised again. Before a draw the policy's adapter is put where the
server sees it and loaded by vLLM's `/v1/load_lora_adapter`; a server that cannot load it draws from what it has, and is
refused once its log-probabilities are too far from the policy's.
"""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import httpx
import numpy as np
from pydantic import Field

from assay.lm import Completion, LanguageModel, Sampling, completion_logprobs, encode_prompt, save_adapter
from assay.lm.adapters import POLICY, adapter_id
from assay.lm.chat import EncodedPair, require_room
from assay.records.conversation import Message
from assay.records.errors import TrainingError, explain
from assay.records.record import Value

VLLM_FIELDS = {"return_token_ids": True, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""Asks vLLM for token ids, and for draws from the model as it is, whatever its generation_config says."""
AGAIN = "then run again with --resume"


class CompletionSource(Protocol):
    """Draws `n` completions a prompt, those of one prompt together; `assay.lm.generate` is one."""

    def __call__(
        self, lm: LanguageModel, prompts: Sequence[Sequence[Message]], sampling: Sampling, *, n: int
    ) -> list[Completion]:
        """The draw, the log-probabilities of each completion's tokens being the policy's."""
        ...


class RolloutSettings(Value):
    """A server that draws the completions of the online methods."""

    url: str = Field(pattern=r"^https?://")
    """Where its OpenAI API begins, as in http://localhost:8000/v1."""
    model: str
    """Name under which it serves the base model."""
    server: Literal["vllm", "openai"] = "vllm"
    """`vllm` is asked for token ids; `openai` is any other, sent nothing that OpenAI does not define."""
    adapters: Path | None = None
    """Directory that the server sees at the same path, for the policy's adapter; null leaves its weights alone."""
    max_gap: float = Field(default=0.2, gt=0)
    """Mean distance of its log-probabilities from the policy's, in nats a token, above which a draw is refused."""
    key_variable: str | None = None
    """Name of the environment variable that holds the server's key."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Seconds that an answer may take."""
    concurrency: int = Field(default=16, ge=1)
    """Requests at a time, one a prompt."""


class _Drawn(NamedTuple):
    """One completion as the server gave it; `logprobs` [tokens] are the server's, None where it tells none."""

    text: str
    token_ids: list[int]
    logprobs: list[float] | None
    is_finished: bool
    is_told: bool


class ServedCompletions:
    """Completions from a server. Raises TrainingError, in one sentence, for every way in which none come."""

    def __init__(self, settings: RolloutSettings, *, key: str | None = None) -> None:
        self._settings, self._loaded = settings, ""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        url = settings.url.rstrip("/") + "/"
        self._client = httpx.Client(base_url=url, headers=headers, timeout=settings.timeout_s, trust_env=False)

    def __call__(
        self, lm: LanguageModel, prompts: Sequence[Sequence[Message]], sampling: Sampling, *, n: int
    ) -> list[Completion]:
        """Draw from the policy as it stands; requests carry a seed each, from the seed of `sampling`."""
        encoded = [encode_prompt(lm, prompt) for prompt in prompts]
        require_room(lm, [len(ids) for ids in encoded], sampling.max_tokens)
        name = self._follow(lm)
        seeds = np.random.SeedSequence(sampling.seed).generate_state(len(encoded)) >> 1  # a signed field in vLLM

        def ask(i: int) -> list[_Drawn]:
            body = {"model": name, "prompt": encoded[i], "n": n, "max_tokens": sampling.max_tokens, "logprobs": 1}
            body |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": int(seeds[i])}
            return self._drawn(lm, body)

        with ThreadPoolExecutor(self._settings.concurrency) as pool:
            groups = list(pool.map(ask, range(len(encoded))))
        drawn = [one for group in groups for one in group]
        pairs = [EncodedPair(encoded[k // n], one.token_ids) for k, one in enumerate(drawn)]
        logprobs = completion_logprobs(lm, pairs)
        self._require_policy(drawn, logprobs)
        return [
            Completion(
                one.text,
                tuple(one.token_ids),
                tuple(own.tolist()),
                "stop" if one.is_finished else "length",
                len(pair.prompt),
            )
            for one, own, pair in zip(drawn, logprobs, pairs, strict=True)
        ]

    def _follow(self, lm: LanguageModel) -> str:
        """Let the server load the policy's adapter as it is now; the name to ask for."""
        root, model = self._settings.adapters, self._settings.model
        if root is None:
            return model
        name = f"assay-{adapter_id(lm, POLICY)[:16]}"
        if name == self._loaded:
            return name
        if self._loaded:
            self._send("unload_lora_adapter", {"lora_name": self._loaded})
            shutil.rmtree(root / self._loaded, ignore_errors=True)
        self._place(lm, root / name)
        reply = self._send("load_lora_adapter", {"lora_name": name, "lora_path": str((root / name).resolve())})
        if not reply.is_success and "already been loaded" not in reply.text:
            do = "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
            raise self._error("the policy's adapter to be loaded", _said(reply), do)
        self._loaded = name
        return name

    def _place(self, lm: LanguageModel, directory: Path) -> None:
        try:
            save_adapter(lm, directory)
        except OSError as error:
            do = "name a directory in rollouts.adapters that both may use"
            raise self._error(f"to write the policy's adapter to {directory.parent}", str(error), do) from error

    def _drawn(self, lm: LanguageModel, body: dict[str, Any]) -> list[_Drawn]:
        extra = VLLM_FIELDS if self._settings.server == "vllm" else {}
        reply = self._send("completions", body | extra)
        if not reply.is_success:
            do = "set rollouts.model to a name that it serves" if reply.status_code == 404 else "mend what it says"
            raise self._error(f"completions by {body['model']!r}", _said(reply), do)
        try:
            choices = sorted(reply.json()["choices"], key=lambda choice: choice["index"])
            drawn = [_read(lm, choice) for choice in choices]
        except (ValueError, KeyError, TypeError) as error:
            got = f"a reply that breaks off or lacks a part ({type(error).__name__}: {error})"
            raise self._error(f"{body['n']} completions", got, "look at the server's log") from error
        longest = max((len(one.token_ids) for one in drawn if one.is_told), default=0)
        if len(drawn) != body["n"] or longest > body["max_tokens"] + 1:  # one for an end that it did not count
            got = f"{len(drawn)}, the longest of {longest}"
            expected = f"{body['n']} completions of at most {body['max_tokens']} tokens"
            raise self._error(expected, got, "look at the server's limits")
        return drawn

    def _send(self, path: str, body: dict[str, Any]) -> httpx.Response:
        try:
            return self._client.post(path, json=body)
        except httpx.HTTPError as error:
            got, do = f"none ({str(error) or type(error).__name__})", "start it or mend rollouts.url"
            raise self._error("an answer", got, do) from error

    def _require_policy(self, drawn: Sequence[_Drawn], logprobs: Sequence[np.ndarray]) -> None:
        """Raise TrainingError where the server's numbers show another policy, or nothing shows that it is this one."""
        told = [
            np.abs(np.subtract(one.logprobs, own))
            for one, own in zip(drawn, logprobs, strict=True)
            if one.logprobs is not None and len(one.logprobs) == len(own)
        ]
        if not told and self._settings.adapters is None:
            do = "set rollouts.adapters, so that it follows the policy"
            raise self._error("log-probabilities that show whose the completions are", "none", do)
        gap = float(np.concatenate(told).mean()) if told else 0.0
        if gap > self._settings.max_gap:
            got = f"log-probabilities {gap:.2f} nats a token away from the policy's"
            do = "let it serve the same base model, and set rollouts.adapters so that it follows the policy"
            raise self._error(f"at most {self._settings.max_gap:g} nats a token", got, do)

    def _error(self, expected: str, got: str, do: str) -> TrainingError:
        return TrainingError(explain(expected=f"{expected} from {self._settings.url}", got=got, do=f"{do}, {AGAIN}"))


def _said(reply: httpx.Response) -> str:
    return f"status {reply.status_code}: {' '.join(reply.text.split())[:300]}"


def _read(lm: LanguageModel, choice: dict[str, Any]) -> _Drawn:
    """A choice of a reply. Raises KeyError, TypeError or ValueError for one that is not whole."""
    text, is_finished = str(choice["text"]), choice["finish_reason"] == "stop"
    if choice["finish_reason"] not in ("stop", "length"):
        raise ValueError(f"finish_reason {choice['finish_reason']!r}")
    told = choice.get("token_ids")
    ids = [int(i) for i in (lm.tokenizer(text, add_special_tokens=False)["input_ids"] if told is None else told)]
    if is_finished and (not ids or ids[-1] not in lm.eos_ids):
        ids.append(int(lm.tokenizer.eos_token_id))
    logprobs = (choice.get("logprobs") or {}).get("token_logprobs")
    return _Drawn(text, ids, logprobs, is_finished, told is not None)
