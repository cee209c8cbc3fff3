"""Items: reads the pairs of a campaign from rows of `prompt`, `first` and `second`, in any file that feedback reads."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from assay.feedback.formats.row import Row
from assay.feedback.rows import read_rows, refuse
from assay.records.judgement import Item

FIELDS = frozenset({"prompt", "first", "second"})


def read_items(path: Path, *, campaign: str, now: datetime) -> list[Item]:
    """The items of a campaign, each pair once. Raises InputError with every bad line; then nothing was read."""
    rows, faults = read_rows(path)
    items: dict[str, Item] = {}
    for place, fields in rows:
        row = Row(fields)
        item = _item(row, fields, campaign=campaign, now=now)
        if row.faults:
            faults.append(f"{place}: {'; '.join(row.faults)}")
        elif item is not None:
            items.setdefault(item.id, item)
    if faults or not items:
        refuse(path, faults or ["no items"], do="mend these places and open the campaign again")
    return list(items.values())


def _item(row: Row, fields: Mapping[str, object], *, campaign: str, now: datetime) -> Item | None:
    row.faults.extend(f"unknown field {name!r}" for name in sorted(set(fields) - FIELDS))
    prompt, first, second = row.prompt(), row.text("first"), row.text("second")
    row.differing(first, second)
    if row.faults:
        return None
    return Item(campaign=campaign, prompt=prompt, first=first, second=second, created_at=now)
