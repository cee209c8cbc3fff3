"""Campaign: as many items as are asked for, opened in parts, so that a million of them fit into a small machine."""

from collections.abc import Iterator
from datetime import datetime

from assay.feedback import open_campaign, queue_of
from assay.feedback.campaign import Run
from assay.records.conversation import user_prompt
from assay.records.judgement import Item
from assay.storage import RecordStore

NAME = "bench"
OVERLAP = 2
PART = 20_000


def open_items(records: RecordStore, items: int, *, now: datetime) -> None:
    """A campaign of so many pairs, two people each; where it stands already, only what is missing is added."""
    there = queue_of(records).items(NAME)
    for start in range(there, items, PART):
        part = list(_pairs(start, min(items, start + PART), now=now))
        open_campaign(records, NAME, part, now=now, run=Run(overlap=OVERLAP))


def _pairs(start: int, end: int, *, now: datetime) -> Iterator[Item]:
    for number in range(start, end):
        yield Item(
            campaign=NAME,
            prompt=user_prompt(f"Question {number}: why is the sky blue, and what has that to do with {number}?"),
            first=f"Air scatters short waves of light more than long ones; so says page {number}. " * 4,
            second=f"The sky mirrors the sea, and the sea is blue; so says the sailor of ship {number}. " * 4,
            created_at=now,
        )
