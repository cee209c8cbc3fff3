"""Retention: until when what people wrote may be kept, as the plan of their campaign promises. Takes a clock.

The period of a plan (`ethics.Plan.retention_days`) begins when the campaign is closed. A campaign that is open, or that
never had a plan, has no end yet, and nothing of it is erased by this.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from assay.feedback.assignment import Pass
from assay.feedback.campaign import CampaignState, campaign_names
from assay.feedback.erasure import Erasure, erase, readable
from assay.feedback.ethics import Plan
from assay.records.judgement import Judgement, Ranking
from assay.storage import RecordStore


class Period(NamedTuple):
    """One closed campaign's period: its end, and who wrote something in it that can still be read."""

    campaign: str
    closed_at: datetime
    ends_at: datetime
    people: tuple[str, ...]

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended."""
        return now >= self.ends_at


def periods(records: RecordStore) -> list[Period]:
    """The periods of all closed campaigns with a plan, in the order in which the campaigns were opened."""
    found = []
    for name in campaign_names(records):
        last = records.latest(CampaignState, subject=name)
        if last is None or last.state != "closed" or last.plan is None:
            continue
        ends_at = last.created_at + timedelta(days=records.get(Plan, last.plan).retention_days)
        people = tuple(one for one in _people(records, name) if any(readable(records, one, name)))
        found.append(Period(name, last.created_at, ends_at, people))
    return found


def keep_to(records: RecordStore, period: Period, *, now: datetime) -> list[Erasure]:
    """Erase what people wrote in a campaign whose period is over; nothing in one whose period is not."""
    if not period.is_over(now):
        return []
    erased = (erase(records, one, campaign=period.campaign, why="retention", now=now) for one in period.people)
    return [one for one in erased if one is not None]


def _people(records: RecordStore, campaign: str) -> list[str]:
    said: list[Judgement | Ranking | Pass] = [*records.all(Judgement)]
    said += [*records.all(Ranking), *records.all(Pass)]
    return sorted({one.annotator for one in said if one.campaign == campaign})
