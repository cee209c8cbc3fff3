"""Tables: rows of fields as cells of CSV and parquet, and back. Takes rows, yields bytes; takes bytes, yields rows.

A cell that holds a list or fields is written as JSON; in parquet a list of messages stays one. In CSV an empty cell is
an absent field and `'` alone an empty text. A text that a spreadsheet would take for a formula gets a `'` in front, and
loses it when read, so a hostile completion computes nothing on the desk of whoever opens the file.

Catches: rows that are longer or shorter than the head, a column named twice, bytes that are not UTF-8.
Does not catch: a head that names other columns than the cells hold.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow
import pyarrow.parquet

DELIMITERS = ",;\t"
KNOWN = frozenset({"prompt", "first", "second", "choice", "chosen", "rejected", "instruction", "completion", "input"})
"""Columns of which a head names at least one, or the file is no CSV of ours."""
NUMBERS = re.compile(r"strength|occurrence|schema_version|time_on_task_s|annotator\d+")
EMPTY_TEXTS = frozenset({"first", "second", "chosen", "rejected", "completion", "response1", "response2", "input"})
MESSAGES = frozenset({"prompt", "chosen", "rejected", "completion", "messages"})
NESTED = frozenset(
    {
        *("completions", "attributes", "attribute_strengths", "critiques", "ratings", "edit"),
        *("fields", "responses", "metadata", "suggestions", "vectors", "data", "annotations", "predictions"),
        *("input", "preferred_output", "non_preferred_output"),
    }
)
_GUARDED = re.compile(r"'*([=+\-@\t\r].*)?", re.DOTALL)


class Bad(NamedTuple):
    """A place that holds no value, and why."""

    reason: str


def is_csv(data: bytes) -> bool:
    """Whether the first line is the head of a table: two or more columns, at least one of a known name."""
    head = data.split(b"\n", 1)[0].decode(errors="replace")
    return not head.lstrip().startswith(("{", "[")) and bool(KNOWN.intersection(_cells(head, _delimiter(head))[0]))


def read_csv(data: bytes) -> Iterator[tuple[str, object]]:
    """The rows of a table with their places, from 1 below the head; a `Bad` for each row that is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        yield "row 1", Bad(f"not UTF-8 (byte {error.start + 1} is 0x{data[error.start]:02x})")
        return
    head, *rows = _cells(text, _delimiter(text.split("\n", 1)[0]))
    if len(set(head)) < len(head):
        yield "row 1", Bad(f"column {next(name for name in head if head.count(name) > 1)!r} is named twice")
        return
    for number, cells in enumerate((row for row in rows if row), start=1):
        if len(cells) != len(head):
            yield f"row {number}", Bad(f"{len(cells)} cells, where the head has {len(head)}")
        else:
            fields = {name: _read(name, cell) for name, cell in zip(head, cells, strict=True)}
            yield f"row {number}", decoded({name: value for name, value in fields.items() if value is not None})


def csv_bytes(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Rows as CSV (RFC 4180: CRLF, quotes doubled), the columns in the order in which fields first occur."""
    given = list(rows)
    columns = _columns(given)
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_written(row.get(name)) for name in columns] for row in given)
    return target.getvalue().encode()


def parquet_bytes(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Rows as parquet; fields that are no text, number or list of messages become JSON text."""
    given = list(rows)
    columns = {name: [_flat(row.get(name)) for row in given] for name in _columns(given)}
    target = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), target)
    return target.getvalue()


def decoded(row: Mapping[str, object]) -> dict[str, object]:
    """A row with its JSON cells turned back into what they hold, and absent fields left out."""
    return {name: _nested(name, value) for name, value in row.items() if value is not None}


def _delimiter(head: str) -> str:
    return max(DELIMITERS, key=lambda one: len(KNOWN.intersection(_cells(head, one)[0])))


def _cells(text: str, delimiter: str) -> list[list[str]]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))  # a completion may be longer than its default
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)) or [[]]


def _read(name: str, cell: str) -> object:
    if not cell:
        return "" if name in EMPTY_TEXTS else None
    if NUMBERS.fullmatch(name):
        return _json(cell, default=cell)
    return cell[1:] if cell.startswith("'") and _GUARDED.fullmatch(cell) else cell


def _written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if _GUARDED.fullmatch(value) else value
    return json.dumps(value, ensure_ascii=False)


def _flat(value: object) -> object:
    is_flat = value is None or isinstance(value, str | int | float) or _are_messages(value)
    return value if is_flat else json.dumps(value, ensure_ascii=False)


def _nested(name: str, value: object) -> object:
    if not isinstance(value, str) or not value.startswith(("{", "[")) or name not in MESSAGES | NESTED:
        return value
    found = _json(value, default=value)
    return found if name in NESTED and isinstance(found, dict | list) or _are_messages(found) else value


def _are_messages(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and set(one) == {"role", "content"} for one in value)
    )


def _json(text: str, *, default: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda name: name)
    except (ValueError, RecursionError):
        return default


def _columns(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Names of the fields in the order in which they first occur."""
    return list(dict.fromkeys(name for row in rows for name in row))
