"""Format registry: the data formats that feedback can read and write, by name.

A reader is one function from a row to records, a writer one from judgements to rows. What a reader knows and a writer
leaves out is for the writer to say.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from assay.feedback.formats.row import Row
from assay.records.judgement import Demonstration, Judgement, Ranking

Finding = Judgement | Demonstration | Ranking
ReadRow = Callable[[Row, datetime], Sequence[Finding]]
WriteRows = Callable[[Iterable[Judgement]], Iterable[dict[str, object]]]
Matches = Callable[[Mapping[str, object]], bool]


class Format(NamedTuple):
    """One data format: its name, the fields that a person must write, how to know it, how to read a row of it.

    `shows_order` says that its rows tell which completion stood on the left.
    """

    name: str
    fields: str
    matches: Matches
    read: ReadRow
    shows_order: bool


FORMATS: dict[str, Format] = {}
WRITERS: dict[str, WriteRows] = {}


def format_reader(
    name: str, *, fields: str, matches: Matches, shows_order: bool = False
) -> Callable[[ReadRow], ReadRow]:
    """Register the decorated function as the reader of one format. Earlier formats win where two match."""

    def register(read: ReadRow) -> ReadRow:
        FORMATS[name] = Format(name, fields, matches, read, shows_order)
        return read

    return register


def format_writer(name: str) -> Callable[[WriteRows], WriteRows]:
    """Register the decorated function as the writer of one format."""

    def register(write: WriteRows) -> WriteRows:
        WRITERS[name] = write
        return write

    return register


def formats_in_words() -> str:
    """Every format with its fields, for error messages."""
    return "; ".join(f"{format_.name} ({format_.fields})" for format_ in FORMATS.values())
