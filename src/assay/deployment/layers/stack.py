"""Layer stack: runs the layers of one stage in order, acts on their words, and keeps every word apart.

What a layer *said* (`verdict`) and what was *done* (`status`) are two fields and are never merged: a layer in shadow
mode that says deny has status `ok`, a layer that failed has status `errored` even where its failure mode lets the
exchange through, and a layer behind a refusal has status `skipped`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from logging import getLogger
from typing import Literal, NamedTuple

from assay.deployment.layers.layer import Exchange, Layer, LayerVerdict, Mode, Stage, Verdict
from assay.records.conversation import Prompt
from assay.records.record import digest

Status = Literal["ok", "blocked", "modified", "errored", "skipped"]

REFUSAL = "I cannot help with that request."
UNCHECKED = "This could not be checked just now, so it was not answered. Please try again later."

_log = getLogger(__name__)


class LayerResult(NamedTuple):
    """What one layer said and what was done; `verdict` is None where the layer was skipped."""

    layer: str
    stage: Stage
    mode: Mode
    verdict: Verdict | None
    status: Status
    reason: str
    duration_ms: float


class StackVerdict(NamedTuple):
    """What the layers of one stage made of an exchange.

    `text` is what to say instead where the exchange is blocked, by the layer named in `blocked_by`. `degraded` means
    that at least one layer did not give its word.
    """

    verdict: Verdict
    prompt: Prompt
    completion: str | None
    text: str | None
    blocked_by: str | None
    results: tuple[LayerResult, ...]
    degraded: bool
    duration_ms: float

    @property
    def is_blocked(self) -> bool:
        """Whether the exchange may not go on."""
        return self.blocked_by is not None

    @property
    def warnings(self) -> tuple[LayerResult, ...]:
        """What layers in warn mode would have done."""
        return tuple(r for r in self.results if r.mode == "warn" and r.verdict not in ("allow", None))


@dataclass(frozen=True)
class LayerStack:
    """An ordered set of layers. Holds no state between exchanges, so any number of threads may run it at once."""

    layers: tuple[Layer, ...]
    timer: Callable[[], float] = time.perf_counter

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over the digests of all manifests in order: any change of rule, mode or order changes it."""
        return digest([layer.manifest.digest for layer in self.layers])

    def run(self, exchange: Exchange) -> StackVerdict:
        """Run the layers of the exchange's stage: output where it has a completion, else input."""
        stage: Stage = "input" if exchange.completion is None else "output"
        begun = self.timer()
        results: list[LayerResult] = []
        blocked: tuple[Verdict, str, str] | None = None
        for layer in (layer for layer in self.layers if layer.manifest.stage == stage):
            manifest = layer.manifest
            if blocked is not None:
                why = f"{blocked[1]} had already blocked"
                results.append(LayerResult(manifest.name, stage, manifest.mode, None, "skipped", why, 0.0))
                continue
            started = self.timer()
            word = _ask(layer, exchange)
            status = _status(layer, word)
            took_ms = (self.timer() - started) * 1000
            results.append(LayerResult(manifest.name, stage, manifest.mode, word.verdict, status, word.reason, took_ms))
            if status == "modified":
                exchange = _modified(exchange, word)
            elif _blocks(layer, word):
                fallback = UNCHECKED if word.verdict == "error" else REFUSAL
                blocked = (word.verdict, manifest.name, word.replacement_text or fallback)
        return StackVerdict(
            verdict=blocked[0] if blocked else _mildest(results),
            prompt=exchange.prompt,
            completion=exchange.completion,
            text=blocked[2] if blocked else None,
            blocked_by=blocked[1] if blocked else None,
            results=tuple(results),
            degraded=any(result.status == "errored" for result in results),
            duration_ms=(self.timer() - begun) * 1000,
        )


def _ask(layer: Layer, exchange: Exchange) -> LayerVerdict:
    """The layer's word, or `error`. Catches everything: the layer's manifest declares what its failure means."""
    try:
        word = layer.check(exchange)
        fault = _fault(word, exchange)
    except Exception as error:
        _log.exception("layer %s failed", layer.manifest.name)
        return LayerVerdict("error", f"{type(error).__name__}: {error}")
    return word if fault is None else LayerVerdict("error", fault)


def _fault(word: object, exchange: Exchange) -> str | None:
    if not isinstance(word, LayerVerdict):
        return f"a {type(word).__name__} instead of a verdict"
    if word.verdict != "modify":
        return None
    replacement = word.replacement_prompt if exchange.completion is None else word.replacement_text
    return "a modify without a replacement" if replacement is None else None


def _blocks(layer: Layer, word: LayerVerdict) -> bool:
    if layer.manifest.mode != "enforce":
        return False
    if word.verdict == "error":
        return layer.manifest.failure_mode == "closed"
    return word.verdict in ("deny", "escalate")


def _status(layer: Layer, word: LayerVerdict) -> Status:
    if word.verdict == "error":
        return "errored"
    if _blocks(layer, word):
        return "blocked"
    return "modified" if word.verdict == "modify" and layer.manifest.mode == "enforce" else "ok"


def _modified(exchange: Exchange, word: LayerVerdict) -> Exchange:
    if exchange.completion is None and word.replacement_prompt is not None:
        return replace(exchange, prompt=word.replacement_prompt)
    return replace(exchange, completion=word.replacement_text)


def _mildest(results: Sequence[LayerResult]) -> Verdict:
    return "modify" if any(result.status == "modified" for result in results) else "allow"
