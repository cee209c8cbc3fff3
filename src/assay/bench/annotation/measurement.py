"""Measurement: the annotation benchmark put together, and the bars it is held to.

Takes a plan and an empty directory; yields how fast the site takes answers and shows the next item, and what became of
every answer, also when all its processes were killed in the middle.
"""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.bench.annotation.campaign import NAME, open_items
from assay.bench.annotation.crowd import Told, Visitors, crowd
from assay.bench.annotation.reckoning import Reckoning, reckon
from assay.bench.annotation.server import HOST, Server, serving
from assay.bench.bars import Bar
from assay.storage import Workspace

PATIENCE_S = 120.0
WARM_UP_S = 3.0
"""Answers of the first seconds are not timed: every server process makes its statements and pages once."""
TROUBLE = ("locked", "Traceback", "deadlock")


class AnnotationPlan(NamedTuple):
    """Who works on how much: `rate` answers a second of all together are offered, for so many `seconds`; then the
    site is killed in the middle of `kill_seconds` more. `workers` are server processes, `processes` those of people."""

    items: int
    annotators: int
    workers: int
    processes: int
    rate: float
    seconds: float
    kill_seconds: float
    seed: int = 0
    database: str | None = None


FULL = AnnotationPlan(100_000, 50, 8, 2, 220.0, 60.0, 20.0)
QUICK = AnnotationPlan(2_000, 8, 2, 2, 10.0, 8.0, 6.0)


class Spread(NamedTuple):
    """Milliseconds of the middle one, of one in twenty, of one in a hundred, and of the slowest."""

    p50: float
    p95: float
    p99: float
    slowest: float


class AnnotationMeasurement(NamedTuple):
    """`cpu_ms`: CPU of all server processes for one answer and the page after it; a busy machine changes it less than
    the clock. `submit`: from sending an answer until it is stored. `to_next`: until the next item is on the screen,
    without the page's script, which shows it at once. `restart_s`: until the killed site answered again."""

    items: int
    open_s: float
    per_s: float
    cpu_ms: float
    submit: Spread
    to_next: Spread
    faults: tuple[str, ...]
    reckoned: Reckoning
    over_kill: Reckoning
    resent: int
    restart_s: float


def bench_annotation(
    plan: AnnotationPlan, directory: Path, *, clock: Callable[[], datetime], said: Callable[[str], None]
) -> AnnotationMeasurement:
    """Measure all of it; `said` hears what is being done. Raises StorageError when the site does not start."""
    workspace = Workspace(directory, database=plan.database)
    names = tuple(f"annotator {number}" for number in range(plan.annotators))
    log = directory / "server.log"
    try:
        said(f"opening {plan.items:,} items")
        started = time.monotonic()
        open_items(workspace.records, plan.items, now=clock())
        open_s = time.monotonic() - started
        with serving(directory, NAME, workers=plan.workers, log=log) as server:
            said(f"{plan.annotators} annotators offer {plan.rate:g} answers a second for {plan.seconds:g} s")
            visitors = Visitors(
                names, HOST, server.port, NAME, plan.annotators / plan.rate, plan.seconds, PATIENCE_S, plan.seed
            )
            with crowd(visitors, processes=plan.processes) as people:
                before_s = server.cpu_s()
                people.go()
                told = people.tell()
                cpu_s = server.cpu_s() - before_s
            reckoned = reckon(workspace.records, told.submits, annotators=names)
            said("killing the site in the middle")
            killed, restart_s = _over_kill(server, visitors._replace(seconds=plan.kill_seconds), plan.processes)
        over_kill = reckon(workspace.records, [*told.submits, *killed.submits], annotators=names)
    finally:
        workspace.close()
    timed = [one for one in told.submits if one.sent_s >= WARM_UP_S]
    return AnnotationMeasurement(
        items=plan.items,
        open_s=open_s,
        per_s=len(timed) / (plan.seconds - WARM_UP_S),
        cpu_ms=1000 * cpu_s / max(1, len(told.submits)),
        submit=_spread([one.stored_s for one in timed]),
        to_next=_spread([one.next_s for one in timed]),
        faults=(*told.faults, *killed.faults, *_trouble(log)),
        reckoned=reckoned,
        over_kill=over_kill,
        resent=killed.retries,
        restart_s=restart_s,
    )


def _over_kill(server: Server, visitors: Visitors, processes: int) -> tuple[Told, float]:
    with crowd(visitors, processes=processes) as people:
        people.go()
        time.sleep(visitors.seconds / 2)
        server.kill()
        restart_s = server.start()
        return people.tell(), restart_s


def _spread(seconds: list[float]) -> Spread:
    if not seconds:
        return Spread(*[float("inf")] * 4)
    p50, p95, p99, slowest = (float(one) for one in np.percentile(np.array(seconds) * 1000, [50, 95, 99, 100]))
    return Spread(p50, p95, p99, slowest)


def _trouble(log: Path) -> list[str]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if any(word in line for word in TROUBLE)]


def bars_of(measured: AnnotationMeasurement) -> list[Bar]:
    """The claims, each with its number."""
    wrong = float(measured.reckoned.lost + measured.reckoned.doubled)
    wrong_over_kill = float(measured.over_kill.lost + measured.over_kill.doubled)
    return [
        Bar("submits a second", measured.per_s, 200.0, "at_least"),
        Bar("submit, one in a hundred", measured.submit.p99, 150.0, "at_most", "ms"),
        Bar("submit to next item, one in twenty", measured.to_next.p95, 100.0, "at_most", "ms"),
        Bar("lock errors and other faults", float(len(measured.faults)), 0.0, "at_most"),
        Bar("judgements lost or doubled", wrong, 0.0, "at_most"),
        Bar("judgements lost or doubled over kill -9", wrong_over_kill, 0.0, "at_most"),
    ]
