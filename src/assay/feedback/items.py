"""Items: reads what a campaign asks about from rows, in any file that feedback reads.

A row holds `prompt` with `first` and `second`, or with `completions` where several are to be ranked. `gold` names the
answer that is known to be right: such an item checks people and teaches nobody. `topic` and `harm` may say what an item
is about and how upsetting it is; both are part of it, so that the same pair at another level is another item.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, get_args

from assay.feedback.formats.row import Row
from assay.feedback.rows import read_rows, refuse
from assay.records.judgement import HARMS, Choice, Harm, Item

FIELDS = frozenset({"prompt", "first", "second", "completions", "gold", "topic", "harm"})
MOST_COMPLETIONS = 9
LONGEST_TOPIC = 80


class ItemsRead(NamedTuple):
    """Items in file order, each once, and the right answers of those that check people, by identity."""

    items: list[Item]
    gold: dict[str, Choice]


def read_items(path: Path, *, campaign: str, now: datetime) -> ItemsRead:
    """The items of a campaign, each once. Raises InputError with every bad line; then nothing was read."""
    rows, faults = read_rows(path)
    items: dict[str, Item] = {}
    gold: dict[str, Choice] = {}
    for place, fields in rows:
        row = Row(fields)
        item = _item(row, fields, campaign=campaign, now=now)
        right = _gold(row)
        if row.faults:
            faults.append(f"{place}: {'; '.join(row.faults)}")
        elif item is not None:
            items.setdefault(item.id, item)
            if right is not None:
                gold[item.id] = right
    if faults or not items:
        refuse(path, faults or ["no items"], do="mend these places and open the campaign again")
    return ItemsRead(list(items.values()), gold)


def _item(row: Row, fields: Mapping[str, object], *, campaign: str, now: datetime) -> Item | None:
    row.faults.extend(f"unknown field {name!r}" for name in sorted(set(fields) - FIELDS))
    prompt = row.prompt()
    if "completions" in fields:
        completions = _completions(row)
    else:
        completions = (row.text("first"), row.text("second"))
        row.differing(*completions)
    topic, harm = _topic(row), _harm(row)
    if row.faults:
        return None
    first, second, *others = completions
    return Item(
        campaign=campaign,
        prompt=prompt,
        first=first,
        second=second,
        others=tuple(others) or None,
        topic=topic,
        harm=harm,
        created_at=now,
    )


def _completions(row: Row) -> tuple[str, ...]:
    value = row.fields["completions"]
    texts = [text for text in value if isinstance(text, str) and text.strip()] if isinstance(value, list) else []
    if not isinstance(value, list) or len(texts) < len(value) or not 2 <= len(set(texts)) == len(texts):
        row.faults.append("completions is not a list of two or more different texts")
    elif len(texts) > MOST_COMPLETIONS:
        row.faults.append(f"{len(texts)} completions, at most {MOST_COMPLETIONS}")
    return tuple(texts)


def _topic(row: Row) -> str | None:
    value = row.fields.get("topic")
    if value is None:
        return None
    if isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_TOPIC:
        return value.strip()
    row.faults.append(f"topic is not a text of 1 to {LONGEST_TOPIC} characters")
    return None


def _harm(row: Row) -> Harm | None:
    value = row.fields.get("harm")
    if value is None:
        return None
    for harm in HARMS:
        if value == harm:
            return harm
    row.faults.append(f"harm is {value!r}; known are {', '.join(HARMS)}")
    return None


def _gold(row: Row) -> Choice | None:
    value = row.fields.get("gold")
    if value is None:
        return None
    for choice in get_args(Choice):
        if value == choice and "completions" not in row.fields:
            found: Choice = choice
            return found
    row.faults.append(f"gold is {value!r}; known are {', '.join(get_args(Choice))}, and a pair only has one")
    return None
