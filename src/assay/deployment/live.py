"""Live monitoring: watches rates of bad events per release; an alarm shrinks the candidate and asks a person to look.

The detector is a Bernoulli CUSUM (Reynolds and Stoumbos, 1999): S = max(0, S + w), where w is the log-likelihood ratio
of the alarming rate against the baseline, log(p1/p0) for an event and log((1-p1)/(1-p0)) otherwise; it rings at S >= h.
h is not a matter of taste: it is found by simulation so that a false alarm comes once in a chosen number of
observations on average.

Catches: a rate that has risen, small rises after many observations, large ones after few. Does not catch: a rise in a
small group that drowns in the whole, anything that no signal speaks of, a baseline that was set too high.
"""

import math
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from logging import getLogger
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from assay.deployment.rollout import Change, Rollout
from assay.governance import open_review
from assay.records.errors import AssayError
from assay.records.observation import Alarm
from assay.records.record import Value
from assay.records.release import ReviewTask
from assay.storage import Workspace

_log = getLogger(__name__)


class RateSettings(Value):
    """What to expect of one kind of event, what would be alarming, and how many observations a false alarm may take."""

    name: str
    baseline: float = Field(gt=0, lt=1)
    alarming: float = Field(gt=0, lt=1)
    average_run_length: int = Field(default=10_000, ge=10)

    @model_validator(mode="after")
    def _alarming_is_worse(self) -> "RateSettings":
        if self.alarming <= self.baseline:
            raise ValueError("the alarming rate must be above the baseline")
        return self


DEFAULT_RATES = (
    RateSettings(name="thumbs_down", baseline=0.1, alarming=0.25, average_run_length=2_000),
    RateSettings(name="blocked", baseline=0.02, alarming=0.08),
    RateSettings(name="error", baseline=0.002, alarming=0.02),
)


class Weights(NamedTuple):
    """What one observation adds to the sum: with an event, and without."""

    event: float
    no_event: float


class CalibratedRate(NamedTuple):
    """A rate to watch and the sum at which it rings."""

    settings: RateSettings
    threshold: float


class _Highs(NamedTuple):
    """The record highs of one path, rising, and the observation (from 0) at which each was first reached."""

    level: NDArray[np.float64]
    first: NDArray[np.intp]


def weights(settings: RateSettings) -> Weights:
    """Log-likelihood ratios of the alarming rate against the baseline, in nats."""
    p0, p1 = settings.baseline, settings.alarming
    return Weights(math.log(p1 / p0), math.log((1 - p1) / (1 - p0)))


def calibrated(rates: Iterable[RateSettings], rng: np.random.Generator) -> tuple[CalibratedRate, ...]:
    """Each rate with its threshold found by simulation; under a second for the default ones."""
    return tuple(CalibratedRate(rate, calibrated_threshold(rate, rng)) for rate in rates)


def calibrated_threshold(settings: RateSettings, rng: np.random.Generator, *, paths: int = 300) -> float:
    """The smallest threshold whose mean time to a false alarm, in simulation, is at least `average_run_length`.

    Each path runs at the baseline for four times that length. A path's record highs give its first alarm for every
    threshold at once; paths that end without one count by the time they ran (the estimate for exponential times).
    """
    horizon = 4 * settings.average_run_length
    up, down = weights(settings)
    records: list[_Highs] = []
    for _ in range(paths):
        steps = np.where(rng.random(horizon) < settings.baseline, up, down)
        walk = np.cumsum(steps)
        highs = np.maximum.accumulate(walk - np.minimum(np.minimum.accumulate(walk), 0.0))
        records.append(_Highs(*np.unique(highs, return_index=True)))
    candidates = np.unique(np.round(np.concatenate([level for level, _ in records]), 9))
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if _run_length(records, float(candidates[middle]), horizon) >= settings.average_run_length:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])


def _run_length(records: list[_Highs], threshold: float, horizon: int) -> float:
    time, alarms = 0, 0
    for level, first in records:
        at = int(np.searchsorted(level, threshold - 1e-9))
        alarms += at < len(level)
        time += int(first[at]) + 1 if at < len(level) else horizon
    return time / max(alarms, 1)


class BernoulliCusum:
    """One detector. `observe` returns whether it rings; a ring starts it again from zero."""

    def __init__(self, settings: RateSettings, threshold: float) -> None:
        self.settings = settings
        self.threshold = threshold
        self.observations = 0
        self.value = 0.0
        self._weights = weights(settings)

    def observe(self, is_event: bool) -> bool:
        """Take one observation."""
        self.observations += 1
        self.value = max(0.0, self.value + (self._weights.event if is_event else self._weights.no_event))
        return self.value >= self.threshold - 1e-9

    def restart(self) -> None:
        """Begin again at zero; the count of observations goes on."""
        self.value = 0.0


class ReviewOpener(Protocol):
    """Asks a person to look at something."""

    def __call__(
        self,
        workspace: Workspace,
        title: str,
        *,
        reason: str,
        opened_by: str,
        subject: str,
        evidence: Mapping[str, float],
        now: datetime,
    ) -> ReviewTask:
        """Open the task."""
        ...


ASK_AGAIN_AFTER = timedelta(hours=1)


class LiveWatch:
    """The detectors of all releases in this process. It can shrink a candidate and never raises anything.

    What it has summed up is lost with the process; the next one starts from zero, as after an alarm.
    """

    def __init__(
        self,
        workspace: Workspace,
        rollout: Rollout,
        rates: tuple[CalibratedRate, ...],
        *,
        ask: ReviewOpener = open_review,
    ) -> None:
        self._workspace, self._rollout, self._ask = workspace, rollout, ask
        self._rates = {rate.settings.name: rate for rate in rates}
        self._detectors: dict[tuple[str, str], BernoulliCusum] = {}
        self._asked: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def observe(self, release: str, name: str, is_event: bool, *, now: datetime) -> Alarm | None:
        """Take one observation of a release; names without a rate are let pass. Returns the alarm if one rang."""
        if name not in self._rates:
            return None
        with self._lock:
            detector = self._detectors.get((release, name))
            if detector is None:
                detector = self._detectors[release, name] = BernoulliCusum(*self._rates[name])
            if not detector.observe(is_event):
                return None
            alarm = _alarm(detector, now)
            detector.restart()
        self._respond(release, alarm, now)
        return alarm

    def ask_for_review(self, release: str, *, title: str, reason: str, opened_by: str, now: datetime) -> None:
        """Ask a person to look at a release, about one thing at most once an hour."""
        with self._lock:
            last = self._asked.get((release, title))
            if last is not None and now - last < ASK_AGAIN_AFTER:
                return
            self._asked[release, title] = now
        self._open(release, title, reason, opened_by, {}, now)

    def _respond(self, release: str, alarm: Alarm, now: datetime) -> None:
        done = "nothing was changed: the release is stable, a roll-back is a person's to call"
        try:
            if self._rollout.status.candidate == release:
                change = self._rollout.shrink(f"alarm: {alarm.message}", now=now)
                done = _told(change)
        except AssayError as error:
            done = f"the candidate could not be shrunk: {error}"
            _log.error("%s", done)
        reason = f"{alarm.message}; {done}"
        self._open(release, f"{alarm.monitor} alarm", reason, alarm.monitor, alarm.evidence, now)

    def _open(
        self, release: str, title: str, reason: str, opened_by: str, evidence: Mapping[str, float], now: datetime
    ) -> None:
        try:
            self._ask(
                self._workspace,
                title,
                reason=reason,
                opened_by=opened_by,
                subject=release,
                evidence=evidence,
                now=now,
            )
        except AssayError as error:
            _log.error("no review task could be opened (%s: %s): %s", title, reason, error)


def _told(change: Change) -> str:
    words = f"the candidate's share is now {change.status.share_percent} % and held"
    return f"{words}; {change.note}" if change.note else words


def _alarm(detector: BernoulliCusum, now: datetime) -> Alarm:
    rate = detector.settings
    message = (
        f"the rate of {rate.name} looks like {rate.alarming:.1%} or more rather than {rate.baseline:.1%} "
        f"(after {detector.observations} observations)"
    )
    return Alarm(
        created_at=now,
        monitor=f"live_{rate.name}",
        step=detector.observations,
        message=message,
        action="ask_a_person",
        value=detector.value,
        threshold=detector.threshold,
        evidence={"observations": float(detector.observations), "sum": detector.value, "threshold": detector.threshold},
    )
