"""Fatigue: when to propose a break. Takes one person's answers with their times, yields an advice or none.

A break is proposed after so many active minutes, or when the person's last answers differ from their own earlier ones:
twice as fast or twice as slow a word, one side far more often, or far less often what others say of the same pairs.
What is compared is always a person with themselves. A break is never forced; only a declared daily cap ends the day.

Catches: long sittings, and a change in pace, side or agreement that a person would not notice. Does not catch:
tiredness that changes none of them, and what happened on pages whose script was off (they measure no time).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from math import sqrt
from statistics import median
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

from assay.records.judgement import Judgement
from assay.records.record import Record, UtcTime

Reason = Literal["time", "speed", "side", "agreement", "day"]
RestReason = Literal["time", "speed", "side", "agreement", "day", "own_wish"]

BREAK_AFTER_MIN = 25.0
PAUSE = timedelta(minutes=5)
"""A gap between two answers that is a break by itself."""
RECENT = 10
"""The last answers whose pace is compared with those before."""
RECENT_SIDES = 20
"""The same for sides and agreement; with ten, not even all on one side would be beyond chance at `CHANGE_Z`."""
BASELINE = 20
COMPARED = 200
"""How far back a person is compared with themselves."""
CHANGE_Z = 3.0
"""Standard errors by which a share must have changed."""
NOBODY: Mapping[str, bool] = MappingProxyType({})


class Rest(Record):
    """A break that was proposed to a person or that they took, and what they chose."""

    kind: ClassVar[str] = "rest"
    annotator: str
    campaign: str
    reason: RestReason
    is_taken: bool
    at: UtcTime
    """When; two breaks are two records, though they say the same."""


class Advice(NamedTuple):
    """Why to rest now, and the active minutes since the last rest and today."""

    reason: Reason
    active_min: float
    today_min: float


def advise(
    judgements: Sequence[Judgement],
    rests: Sequence[Rest],
    *,
    now: datetime,
    break_after_min: float | None = None,
    daily_cap_min: float | None = None,
    agreed: Mapping[str, bool] = NOBODY,
) -> Advice | None:
    """What to propose to a person before the next item. Judgements are theirs, of all campaigns, in any order.

    `agreed` says by judgement whether others said the same of the pair, where any others have judged it. What was
    proposed is not proposed again until as much work lies behind a person as led to it.
    """
    timed = sorted((one for one in judgements if one.time_on_task_s is not None), key=lambda one: one.created_at)
    since = _since_rest(timed, max((rest.at for rest in rests), default=None), now=now)
    active = _minutes(since)
    today = _minutes([one for one in timed if one.created_at.date() == now.date()])
    reason: Reason | None = None
    if daily_cap_min is not None and today >= daily_cap_min:
        reason = "day"
    elif active >= (break_after_min or BREAK_AFTER_MIN):
        reason = "time"
    elif len(since) >= RECENT and len(timed) >= RECENT + BASELINE:
        reason = _changed(timed[-COMPARED:], agreed)
    return Advice(reason, round(active, 1), round(today, 1)) if reason else None


def _since_rest(timed: Sequence[Judgement], last_rest: datetime | None, *, now: datetime) -> list[Judgement]:
    since: list[Judgement] = []
    end = now
    for one in reversed(timed):
        if end - one.created_at >= PAUSE or (last_rest is not None and one.created_at <= last_rest):
            break
        since.append(one)
        end = one.created_at - timedelta(seconds=one.time_on_task_s or 0)
    return since


def _minutes(judgements: Sequence[Judgement]) -> float:
    return sum(one.time_on_task_s or 0 for one in judgements) / 60


def _changed(timed: Sequence[Judgement], agreed: Mapping[str, bool]) -> Reason | None:
    if _has_changed_pace(timed):
        return "speed"
    before, now = timed[:-RECENT_SIDES], timed[-RECENT_SIDES:]
    if abs(_change(_lefts(before), _lefts(now))) > CHANGE_Z:
        return "side"
    if not agreed:  # an identity takes as long to reckon as all the rest
        return None
    same_before, same_now = ([agreed[one.id] for one in part if one.id in agreed] for part in (before, now))
    return "agreement" if _change(same_before, same_now) < -CHANGE_Z else None


def _has_changed_pace(timed: Sequence[Judgement]) -> bool:
    usual, now = median(map(_pace, timed[:-RECENT])), median(map(_pace, timed[-RECENT:]))
    return usual > 0 and not usual / 2 <= now <= usual * 2


def _change(before: Sequence[bool], now: Sequence[bool]) -> float:
    """By how many standard errors a share has risen; 0 where too little was seen."""
    if len(before) < BASELINE or len(now) < RECENT_SIDES / 2:
        return 0.0
    share = (sum(before) + 1) / (len(before) + 2)
    error = sqrt(share * (1 - share) * (1 / len(now) + 1 / len(before)))
    return (sum(now) / len(now) - share) / error


def _lefts(judgements: Sequence[Judgement]) -> list[bool]:
    return [(j.choice == "first") == (j.first_shown == "left") for j in judgements if j.choice in ("first", "second")]


def _pace(one: Judgement) -> float:
    words = sum(map(_words, (*(m.content for m in one.prompt), one.first, one.second)))
    return (one.time_on_task_s or 0) / max(1, words)


@lru_cache(maxsize=4096)
def _words(text: str) -> int:
    return len(text.split())
