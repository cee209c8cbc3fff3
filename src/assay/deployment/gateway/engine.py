"""Engine: serves one release with a language model; requests that arrive together share a batch.

One worker thread owns the model. It waits a few milliseconds for company, then completes everything that was sampled
alike in one call. A seeded request runs alone, so that its text does not depend on who else was there; a stream runs
alone as well, and stops when nobody listens any more.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from logging import getLogger

import numpy as np

from assay import lm
from assay.deployment.gateway.protocol import Answer, Ask
from assay.deployment.gateway.routing import BusyEngineError
from assay.deployment.rollout import Rollout
from assay.records.conversation import Prompt
from assay.records.errors import explain
from assay.records.release import Release
from assay.storage import Workspace

_log = getLogger(__name__)


@dataclass
class _Job:
    ask: Ask
    done: Future[list[Answer]] = field(default_factory=Future)


@dataclass
class _Stream:
    ask: Ask
    pieces: "queue.Queue[str | Exception | None]" = field(default_factory=queue.Queue)
    is_cancelled: threading.Event = field(default_factory=threading.Event)


class LmEngine:
    """One language model behind a queue. `gather_s` is how long the first request of a batch waits for others."""

    def __init__(
        self,
        model: lm.LanguageModel,
        rng: np.random.Generator,
        *,
        gather_s: float = 0.01,
        max_batch: int = 32,
        max_waiting: int = 256,
    ) -> None:
        self._model, self._rng = model, rng
        self._gather_s, self._max_batch = gather_s, max_batch
        self._jobs: queue.Queue[_Job | _Stream | None] = queue.Queue(max_waiting)
        self._tokenizer_lock, self._gate, self._is_closed = threading.Lock(), threading.Lock(), False
        self._worker = threading.Thread(target=self._work, name="assay-engine", daemon=True)
        self._worker.start()

    @property
    def context_length(self) -> int:
        """Most tokens of prompt and completion together."""
        return self._model.context_length

    def count_tokens(self, prompt: Prompt) -> int:
        """Tokens of a prompt."""
        with self._tokenizer_lock:
            return lm.count_tokens(self._model, prompt)

    def count_text(self, text: str) -> int:
        """Tokens of a completion."""
        with self._tokenizer_lock:
            return len(self._model.tokenizer(text, add_special_tokens=False)["input_ids"])

    def complete(self, ask: Ask) -> list[Answer]:
        """`ask.n` completions. Raises BusyEngineError when too many wait already."""
        job = _Job(ask)
        self._enqueue(job)
        return job.done.result()

    def stream(self, ask: Ask) -> Iterator[str]:
        """One completion, piece by piece. Closing the iterator stops the model."""
        flow = _Stream(ask)
        self._enqueue(flow)

        def pieces() -> Iterator[str]:
            try:
                while (piece := flow.pieces.get()) is not None:
                    if isinstance(piece, Exception):
                        raise piece
                    yield piece
            finally:
                flow.is_cancelled.set()

        return pieces()

    def close(self) -> None:
        """Finish what is queued, take nothing more and end the worker."""
        with self._gate:
            self._is_closed = True
        self._jobs.put(None)
        self._worker.join()

    def _enqueue(self, job: _Job | _Stream) -> None:
        with self._gate:
            if self._is_closed or self._jobs.full():
                got = "a closed engine" if self._is_closed else f"{self._jobs.maxsize} requests waiting"
                raise BusyEngineError(explain(expected="a free place in the queue", got=got, do="try again shortly"))
            self._jobs.put_nowait(job)

    def _work(self) -> None:
        while True:
            first = self._jobs.get()
            batch, is_last = self._gathered(first)
            for jobs in _alike([job for job in batch if isinstance(job, _Job)]):
                self._complete(jobs)
            for flow in batch:
                if isinstance(flow, _Stream):
                    self._stream(flow)
            if is_last:
                return

    def _gathered(self, first: _Job | _Stream | None) -> tuple[list[_Job | _Stream], bool]:
        """The first job and those that come within the gathering time; True where the end was asked for."""
        if first is None:
            return [], True
        batch, until = [first], time.monotonic() + self._gather_s
        while len(batch) < self._max_batch:
            try:
                job = self._jobs.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _complete(self, jobs: list[_Job]) -> None:
        """Complete jobs that are sampled alike in one call; after a failure each alone, so only its cause fails."""
        ask = jobs[0].ask
        try:
            found = lm.generate(self._model, [job.ask.prompt for job in jobs], self._sampling(ask), n=ask.n)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].done.set_exception(error)
            for job in jobs if len(jobs) > 1 else ():
                self._complete([job])
            return
        for number, job in enumerate(jobs):
            mine = found[number * ask.n : (number + 1) * ask.n]
            job.done.set_result([Answer(c.text, c.finish_reason, len(c.token_ids)) for c in mine])

    def _stream(self, flow: _Stream) -> None:
        try:
            for piece in lm.stream(self._model, flow.ask.prompt, self._sampling(flow.ask)):
                if flow.is_cancelled.is_set():
                    break
                flow.pieces.put(piece)
        except Exception as error:
            flow.pieces.put(error)
        flow.pieces.put(None)

    def _sampling(self, ask: Ask) -> lm.Sampling:
        seed = int(self._rng.integers(2**31)) if ask.seed is None else ask.seed
        return lm.Sampling(ask.max_tokens, ask.temperature, ask.top_p, seed, ask.stop)


class LazyEngines:
    """Engines by release, each loaded at its first look-up from what the release names.

    A new one closes those that are neither served nor needed for a roll-back, so memory does not grow with releases.
    """

    def __init__(self, workspace: Workspace, rollout: Rollout, make: Callable[[Release], LmEngine]) -> None:
        self._workspace, self._rollout, self._make = workspace, rollout, make
        self._engines: dict[str, LmEngine] = {}
        self._lock = threading.Lock()

    def __getitem__(self, release: str, /) -> LmEngine:
        """The engine of a release. Raises StorageError or ModelError where it cannot be had."""
        engine = self._engines.get(release)
        if engine is None:
            with self._lock:
                engine = self._engines.get(release)
                if engine is None:
                    _log.info("loading release %s", release[:12])
                    engine = self._make(self._workspace.records.get(Release, release))
                    self._retire(release)
                    self._engines[release] = engine
        return engine

    def _retire(self, newest: str) -> None:
        pointer = self._rollout.pointer
        needed = {newest, pointer.status.stable, pointer.status.candidate, pointer.previous_stable}
        for release in set(self._engines) - needed:
            # An engine closes when its last answer is written; nobody needs to wait for that.
            threading.Thread(target=self._engines.pop(release).close, daemon=True).start()


def load_engine(workspace: Workspace, release: Release, rng: np.random.Generator) -> LmEngine:
    """The language model of a release: its base model, with its adapter where it has one, checked against its name."""
    adapter = None
    if release.adapter is not None:
        workspace.artifacts.verify(release.adapter)
        adapter = workspace.artifacts.path(release.adapter)
    return LmEngine(lm.load(release.base_model, adapter=adapter), rng)


def _alike(jobs: list[_Job]) -> list[list[_Job]]:
    """Jobs that may share a call: the same sampling, and no seed of their own unless sampling is greedy."""
    groups: dict[object, list[_Job]] = {}
    for number, job in enumerate(jobs):
        ask = job.ask
        is_free = ask.seed is None or ask.temperature == 0
        key = (replace(ask, prompt=(), seed=None), None if is_free else number)
        groups.setdefault(key, []).append(job)
    return list(groups.values())
