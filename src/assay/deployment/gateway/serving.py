"""Serving: one request from prompt to checked reply: route, input layers, engine, output layers, signals.

Blocked requests never reach an engine. A failing candidate is answered for by the stable release and the reply says so.
Signals go to the live watch at once and to storage where it can be written; a full disk loses signals, not replies.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from logging import getLogger
from typing import NamedTuple

from assay.deployment.gateway.metrics import GatewayMetrics
from assay.deployment.gateway.protocol import Answer, Ask, Engine
from assay.deployment.gateway.routing import Routing
from assay.deployment.gateway.schema import Sampled
from assay.deployment.gateway.streaming import Released, checked_pieces
from assay.deployment.intake import Seal
from assay.deployment.layers import Exchange, LayerStack, StackVerdict
from assay.deployment.live import LiveWatch
from assay.records.conversation import Prompt, user_prompt
from assay.records.errors import StorageError
from assay.records.release import Signal
from assay.storage import Workspace

_log = getLogger(__name__)


class Choice(NamedTuple):
    """One completion as it leaves the gateway; the receipt lets it come back as feedback."""

    text: str
    finish_reason: str
    receipt: str


class Report(NamedTuple):
    """What the headers say: the overall verdict, the time spent in layers, and everything that was not as it should."""

    verdict: str
    duration_ms: float
    degraded: tuple[str, ...]


class Reply(NamedTuple):
    """A whole reply."""

    id: str
    release: str
    choices: tuple[Choice, ...]
    report: Report
    prompt_tokens: int
    completion_tokens: int


class Delta(NamedTuple):
    """A piece of one choice of a stream; the last piece of a choice has a finish reason and a receipt."""

    number: int
    text: str
    finish_reason: str | None = None
    receipt: str | None = None


class StreamReply(NamedTuple):
    """A reply under way. The report speaks of the input layers; what output layers do shows in the finish reason."""

    id: str
    release: str
    deltas: Iterator[Delta]
    report: Report


class _Begun(NamedTuple):
    """A request that passed or failed the input layers, and what the engine gave for it."""

    release: str
    engine: Engine
    verdict: StackVerdict
    ask: Ask | None
    prompt_tokens: int


@dataclass(frozen=True)
class Serving:
    """Everything that a request needs. Holds no state of its own, so any number of threads may use it."""

    workspace: Workspace
    routing: Routing
    stack: LayerStack
    watch: LiveWatch
    seal: Seal
    clock: Callable[[], datetime]
    metrics: GatewayMetrics = field(default_factory=GatewayMetrics)
    nonce: Callable[[], str] = lambda: secrets.token_hex(16)
    timer: Callable[[], float] = time.perf_counter

    def complete(self, prompt: Prompt, request: Sampled) -> Reply:
        """Answer a request whole. Raises UnknownModelError, BusyEngineError, EngineFailedError."""
        started = self.timer()
        route = self.routing.route(request.model, request.user)

        def attempt(release: str, engine: Engine) -> tuple[_Begun, list[Answer]]:
            begun = self._begin(release, engine, prompt, request)
            return begun, [] if begun.ask is None else engine.complete(begun.ask)

        (begun, answers), notes = self.routing.first_success(route, attempt, self._failed)
        checks = [self._check(Exchange(begun.verdict.prompt, answer.text)) for answer in answers]
        verdicts = [begun.verdict, *checks]
        if begun.ask is None:
            choices = [self._refusal(prompt, begun.verdict.text or "")] * request.n
        else:
            choices = [self._choice(prompt, a, v) for a, v in zip(answers, checks, strict=True)]
        reply_id = self.seal.reply_id(self.nonce(), begun.release)
        self._learn(reply_id, begun.release, verdicts, (self.timer() - started) * 1000)
        return Reply(
            id=reply_id,
            release=begun.release,
            choices=tuple(choices),
            report=self._report(verdicts, notes),
            prompt_tokens=begun.prompt_tokens,
            completion_tokens=sum(answer.tokens for answer in answers),
        )

    def stream(self, prompt: Prompt, request: Sampled) -> StreamReply:
        """Begin a stream. The first piece is drawn here, so that a release that fails at once is still replaced."""
        started = self.timer()
        route = self.routing.route(request.model, request.user)

        def attempt(release: str, engine: Engine) -> tuple[_Begun, Iterator[str]]:
            begun = self._begin(release, engine, prompt, request)
            return begun, iter(()) if begun.ask is None else _primed(engine.stream(begun.ask))

        (begun, first), notes = self.routing.first_success(route, attempt, self._failed)
        reply_id = self.seal.reply_id(self.nonce(), begun.release)
        deltas = self._deltas(reply_id, prompt, begun, first, request.n, started)
        return StreamReply(reply_id, begun.release, deltas, self._report([begun.verdict], notes))

    def moderate(self, text: str) -> tuple[StackVerdict, StackVerdict]:
        """What the input layers say of a text as a prompt, and the output layers of it as a completion."""
        prompt = user_prompt(text)
        return self._check(Exchange(prompt)), self._check(Exchange(prompt, text))

    def observe(self, release: str, name: str, is_event: bool) -> None:
        """Let the live watch see one observation."""
        alarm = self.watch.observe(release, name, is_event, now=self.clock())
        if alarm is not None:
            self.metrics.alarms.labels(alarm.monitor).inc()

    def _begin(self, release: str, engine: Engine, prompt: Prompt, request: Sampled) -> _Begun:
        count = cache(engine.count_tokens)
        tokens = count(prompt)
        verdict = self._check(Exchange(prompt, count_tokens=count, context_length=engine.context_length))
        if verdict.is_blocked:
            return _Begun(release, engine, verdict, None, tokens)
        room = engine.context_length - count(verdict.prompt)
        return _Begun(release, engine, verdict, request.ask(verdict.prompt, room=room), tokens)

    def _deltas(
        self, reply_id: str, prompt: Prompt, begun: _Begun, first: Iterator[str], n: int, started: float
    ) -> Iterator[Delta]:
        verdicts = [begun.verdict]
        try:
            for index in range(n):
                if begun.ask is None:
                    refusal = self._refusal(prompt, begun.verdict.text or "")
                    yield Delta(index, refusal.text, refusal.finish_reason, refusal.receipt)
                    continue
                pieces = first if index == 0 else begun.engine.stream(_numbered(begun.ask, index))
                text = ""
                for released in checked_pieces(pieces, lambda raw: self._check(Exchange(begun.verdict.prompt, raw))):
                    text += released.text
                    last = released
                    yield Delta(index, released.text)
                verdicts.append(last.verdict)
                yield Delta(index, "", _finish(begun, last, text), self.seal.receipt(prompt, text))
        except Exception:
            self._failed(begun.release)
            raise
        self._learn(reply_id, begun.release, verdicts, (self.timer() - started) * 1000)

    def _check(self, exchange: Exchange) -> StackVerdict:
        verdict = self.stack.run(exchange)
        self.metrics.saw_layers(verdict)
        return verdict

    def _choice(self, prompt: Prompt, answer: Answer, verdict: StackVerdict) -> Choice:
        if verdict.is_blocked:
            return self._refusal(prompt, verdict.text or "")
        text = verdict.completion or ""
        return Choice(text, answer.finish_reason, self.seal.receipt(prompt, text))

    def _refusal(self, prompt: Prompt, text: str) -> Choice:
        return Choice(text, "content_filter", self.seal.receipt(prompt, text))

    def _report(self, verdicts: list[StackVerdict], notes: tuple[str, ...]) -> Report:
        failed = [f"layer {r.layer} failed" for v in verdicts for r in v.results if r.status == "errored"]
        degraded = (*notes, *dict.fromkeys(failed))
        if degraded:
            self.metrics.degraded.inc()
        return Report(_worst(verdicts), sum(v.duration_ms for v in verdicts), degraded)

    def _failed(self, release: str) -> None:
        self.metrics.engine_failures.labels(release[:12]).inc()
        self._store([self._signal(release, "error", 1.0, self.nonce())])
        self.observe(release, "error", True)

    def _learn(self, reply_id: str, release: str, verdicts: list[StackVerdict], took_ms: float) -> None:
        """Let the watch and the records know how a request went, and ask a person where a layer escalated."""
        worst, is_blocked = _worst(verdicts), any(verdict.is_blocked for verdict in verdicts)
        self.metrics.requests.labels(release[:12], worst).inc()
        self.metrics.reply_seconds.labels(release[:12]).observe(took_ms / 1000)
        self._store(
            [
                self._signal(release, "blocked", float(is_blocked), reply_id, verdict=worst),
                self._signal(release, "latency_ms", round(took_ms, 3), reply_id),
            ]
        )
        self.observe(release, "blocked", is_blocked)
        self.observe(release, "error", False)
        for layer in {v.blocked_by for v in verdicts if v.verdict == "escalate" and v.blocked_by}:
            self.watch.ask_for_review(
                release,
                title=f"layer {layer} escalated",
                reason=f"a completion of release {release[:12]} was stopped by layer {layer}",
                opened_by=f"layer {layer}",
                now=self.clock(),
            )

    def _signal(self, release: str, name: str, value: float, reply: str, **detail: str) -> Signal:
        return Signal(
            created_at=self.clock(),
            release=release,
            name=name,
            value=value,
            bucket="live",
            detail={"reply": reply, **detail},
        )

    def _store(self, signals: list[Signal]) -> None:
        try:
            self.workspace.records.put_all((signal, None, signal.release) for signal in signals)
        except StorageError as error:
            self.metrics.signals_lost.inc(len(signals))
            _log.error("%d signals were lost: %s", len(signals), error)


def _primed(pieces: Iterator[str]) -> Iterator[str]:
    """The same pieces, the first one drawn already."""
    first = next(pieces, "")

    def rest() -> Iterator[str]:
        yield first
        yield from pieces

    return rest()


def _numbered(ask: Ask, index: int) -> Ask:
    seed = None if ask.seed is None else ask.seed + index
    return Ask(ask.prompt, ask.max_tokens, ask.temperature, ask.top_p, seed, ask.stop)


def _finish(begun: _Begun, last: Released, text: str) -> str:
    if last.is_blocked:
        return "content_filter"
    most = begun.ask.max_tokens if begun.ask else 0
    return "length" if begun.engine.count_text(text) >= most else "stop"


def _worst(verdicts: list[StackVerdict]) -> str:
    order = ("error", "deny", "escalate", "modify", "allow")
    return min((verdict.verdict for verdict in verdicts), key=order.index)
