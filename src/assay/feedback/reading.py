"""Reading: turns a data file into judgements and demonstrations, or into the list of everything wrong with it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from assay.feedback.formats import FORMATS, Format, formats_in_words
from assay.feedback.formats.registry import Finding
from assay.feedback.formats.row import Row
from assay.feedback.rows import read_rows, refuse
from assay.records.errors import InputError, explain
from assay.records.judgement import Demonstration, Judgement, Ranking, Side

ONE_SIDED_FROM = 20


class Imported(NamedTuple):
    """What a file holds. `notes` are sentences about what was read with a doubt."""

    format: str
    judgements: list[Judgement]
    demonstrations: list[Demonstration]
    notes: list[str]
    rankings: Sequence[Ranking] = ()


def read_judgements(path: Path, *, now: datetime, source_format: str | None = None) -> Imported:
    """Read a file of a known format; `source_format` overrules what its fields say.

    Raises InputError with every bad line, its number and its reasons; then nothing was read.
    """
    rows, faults = read_rows(path)
    if not rows:
        refuse(path, faults or ["no rows"])
    format_ = _named(source_format) if source_format else _detected(path, [fields for _, fields in rows])
    findings: list[tuple[Finding, bool]] = []
    notes: Counter[str] = Counter()
    for place, fields in rows:
        row = Row(fields)
        read = format_.read(row, now)
        findings.extend((finding, "occurrence" in fields) for finding in read)
        notes.update(set(row.notes))
        if row.faults:
            faults.append(f"{place}: {'; '.join(row.faults)}")
    if faults:
        refuse(path, sorted(faults, key=_line_number))
    judgements, repeats = _count_repeats([(f, told) for f, told in findings if isinstance(f, Judgement)])
    said = [f"{count} row{'s' if count != 1 else ''}: {note}" for note, count in notes.items()] + repeats
    if format_.shows_order:
        said += _one_sided(judgements)
    shown = [f for f, _ in findings if isinstance(f, Demonstration)]
    return Imported(format_.name, judgements, shown, said, [f for f, _ in findings if isinstance(f, Ranking)])


def _line_number(fault: str) -> int:
    return int(fault.split(":", 1)[0].split()[1])


def _named(name: str) -> Format:
    if name not in FORMATS:
        do = "name one of them, or leave the format out"
        raise InputError(explain(expected=f"a format: {formats_in_words()}", got=repr(name), do=do))
    return FORMATS[name]


def _detected(path: Path, rows: Sequence[Mapping[str, object]]) -> Format:
    """The format that most rows match, so that one bad line does not decide."""
    counts = {format_.name: sum(format_.matches(row) for row in rows) for format_ in FORMATS.values()}
    best = max(counts, key=lambda name: counts[name])
    if counts[best]:
        return FORMATS[best]
    seen = ", ".join(sorted({name for row in rows for name in row})[:20]) or "none"
    do = "rename the fields to those of a known format"
    raise InputError(explain(expected=f"in {path} one of {formats_in_words()}", got=f"the fields {seen}", do=do))


def _count_repeats(judgements: Sequence[tuple[Judgement, bool]]) -> tuple[list[Judgement], list[str]]:
    """Number equal judgements from 0; of those that state their own number, a second copy is left out."""
    seen: Counter[str] = Counter()
    kept: list[Judgement] = []
    copies = numbered = 0
    for judgement, states_occurrence in judgements:
        before = seen[judgement.id]
        seen[judgement.id] += 1
        if before == 0:
            kept.append(judgement)
        elif states_occurrence:
            copies += 1
        else:
            numbered += 1
            kept.append(
                Judgement.model_validate({**judgement.model_dump(exclude={"occurrence"}), "occurrence": before})
            )
    notes = []
    if copies:
        notes.append(f"{copies} judgements are copies of others in the file; counted once")
    if numbered:
        notes.append(f"{numbered} judgements repeat an equal one; kept and numbered")
    return kept, notes


def _one_sided(judgements: Sequence[Judgement]) -> list[str]:
    sides = [shown_side(judgement) for judgement in judgements]
    if len(sides) < ONE_SIDED_FROM or None in sides or len(set(sides)) != 1:
        return []
    return [
        f"every one of the {len(sides)} judgements picks the {sides[0]} side: check the order in which it was shown"
    ]


def shown_side(judgement: Judgement) -> Side | None:
    """The side that a person picked on the screen; None for a tie and for no choice."""
    if judgement.choice == "first":
        return judgement.first_shown
    if judgement.choice == "second":
        return "right" if judgement.first_shown == "left" else "left"
    return None
