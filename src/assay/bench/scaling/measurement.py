"""Measurement: the scaling benchmark's rows, from what its runs told, and the bars that they are held to.

A row's seconds are the median over steps, the first aside, which warms up; those of several processes are added up. Its
memory is the most that one process held beyond what it held before the first step.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Literal, NamedTuple

import numpy as np

from assay.bench.bars import Bar
from assay.bench.scaling.running import Measured, describe

SAME_SPEED, SAME_MEMORY, SAME_WORK = 0.8, 1.3, 1.25
MORE_DRAWN, HELD_SHARDED, LOSS_GAP = 1.5, 0.85, 1e-4
SEVERAL = 2
"""Pairs a step from which a step comes in several parts, at the full plan's lengths."""


class Row(NamedTuple):
    """One job in numbers: `tokens` a step, CPU and clock seconds a step, memory; `drawn_a_cpu_s` of groups only.

    `load` is the machine's load average before the job began.
    """

    varied: str
    run: str
    pairs: int
    prompt_words: int
    completions: int
    processes: int
    mode: str
    is_one_part: bool
    tokens: int
    cpu_s: float
    clock_s: float
    tokens_a_cpu_s: float
    drawn_a_cpu_s: float | None
    loaded_mib: float
    above_mib: float
    losses: tuple[float, ...]
    load: float


def rows_of(measured: Sequence[Measured]) -> list[Row]:
    """A row for each job."""
    return [_row(one) for one in measured]


def _row(one: Measured) -> Row:
    told, job = one.told, one.job
    cpu_s = float(sum(_median(each.step_cpu_s) for each in told))
    draws = [_median(each.draw_cpu_s) for each in told if each.draw_cpu_s]
    tokens = told[0].tokens
    return Row(
        varied=one.varied,
        run=describe(job),
        pairs=job.pairs,
        prompt_words=job.prompt_words,
        completions=job.completions if job.kind == "group" else 2,
        processes=job.processes,
        mode=job.mode,
        is_one_part=job.part_tokens is not None,
        tokens=tokens,
        cpu_s=cpu_s,
        clock_s=max(_median(each.step_s) for each in told),
        tokens_a_cpu_s=tokens / cpu_s,
        drawn_a_cpu_s=tokens / sum(draws) if draws else None,
        loaded_mib=max(each.loaded_mib for each in told),
        above_mib=max(each.peak_mib - each.loaded_mib for each in told),
        losses=told[0].losses,
        load=one.load,
    )


def bars_of(rows: Sequence[Row]) -> list[Bar]:
    """The claims of docs/scale.md; a bar whose rows a plan leaves out is not measured."""
    pairs = [row for row in rows if row.varied == "pairs a step"]
    several = [row for row in pairs if row.pairs >= SEVERAL]
    prompts = [row for row in rows if row.varied == "prompt"]
    groups = [row for row in rows if row.varied == "completions"]
    alone = {row.pairs: row for row in pairs}
    ddp, fsdp2 = (_shared(rows, mode) for mode in ("ddp", "fsdp2"))
    speed, drawn = attrgetter("tokens_a_cpu_s"), attrgetter("drawn_a_cpu_s")
    found: list[tuple[str, float | None, float, Literal["at_least", "at_most"]]] = [
        ("tokens a CPU second, most pairs a step over one", _last_over_first(pairs, speed), SAME_SPEED, "at_least"),
        ("memory above the model, most pairs over two", _last_over_first(several, _above), SAME_MEMORY, "at_most"),
        ("tokens a CPU second, longest prompt over shortest", _last_over_first(prompts, speed), SAME_SPEED, "at_least"),
        ("drawn a CPU second, most completions over fewest", _last_over_first(groups, drawn), MORE_DRAWN, "at_least"),
        ("CPU seconds a step, 2 processes (ddp) over one", _beside(ddp, alone, _cpu), SAME_WORK, "at_most"),
        ("held before a step, 2 processes (fsdp2) over one", _beside(fsdp2, alone, _held), HELD_SHARDED, "at_most"),
    ]
    gaps = [_gap(row, alone) for row in rows if row.varied == "processes"]
    known = [gap for gap in gaps if gap is not None]
    return [
        *(Bar(name, value, limit, direction, "x") for name, value, limit, direction in found),
        Bar("loss of several processes beside one's", max(known) if known else None, LOSS_GAP, "at_most", "relative"),
    ]


def _shared(rows: Sequence[Row], mode: str) -> Row | None:
    return next((row for row in rows if row.varied == "processes" and row.mode == mode), None)


def _last_over_first(rows: Sequence[Row], value: Callable[[Row], float]) -> float | None:
    return value(rows[-1]) / value(rows[0]) if len(rows) > 1 else None


def _beside(row: Row | None, alone: Mapping[int, Row], value: Callable[[Row], float]) -> float | None:
    """A row of several processes over that of one with the same step; None where either is missing."""
    return value(row) / value(alone[row.pairs]) if row is not None and row.pairs in alone else None


def _gap(row: Row, alone: Mapping[int, Row]) -> float | None:
    """Largest relative difference of a step's loss from one process's."""
    if row.pairs not in alone:
        return None
    ours, theirs = np.array(row.losses), np.array(alone[row.pairs].losses)
    return float(np.max(np.abs(ours - theirs) / np.abs(theirs)))


def _above(row: Row) -> float:
    return row.above_mib


def _cpu(row: Row) -> float:
    return row.cpu_s


def _held(row: Row) -> float:
    return row.loaded_mib


def _median(values: Sequence[float]) -> float:
    """The median, the first aside."""
    return float(np.median(values[1:]))
