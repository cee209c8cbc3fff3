"""PandaLM format: `instruction`, `input`, `response1`, `response2` and one column a person, 0 (tie), 1 or 2."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from assay.feedback.formats.registry import format_reader
from assay.feedback.formats.row import Row
from assay.records.conversation import user_prompt
from assay.records.judgement import Choice, Judgement

_ANNOTATOR = re.compile(r"annotator\d+")
_CHOICES: dict[int, Choice] = {0: "tie", 1: "first", 2: "second"}


def _matches(fields: Mapping[str, object]) -> bool:
    return {"instruction", "response1", "response2"} <= fields.keys()


@format_reader(
    "pandalm", fields="instruction, input, response1, response2, annotator1…", matches=_matches, shows_order=True
)
def read_pandalm(row: Row, now: datetime) -> Sequence[Judgement]:
    """One judgement for each annotator column; the first response stood on the left."""
    instruction = row.text("instruction", may_be_empty=True)
    context = row.text("input", may_be_empty=True) if row.fields.get("input") is not None else ""
    asked = "\n\n".join(part for part in (instruction, context) if part.strip())
    if not asked and not row.faults:
        row.faults.append("instruction and input are both empty")
    first, second = (_response(row, name) for name in ("response1", "response2"))
    row.differing(first, second)
    names = sorted(name for name in row.fields if _ANNOTATOR.fullmatch(name))
    if not names:
        row.faults.append("no annotator column (annotator1, annotator2, …)")
    choices = {name: _choice(row, name) for name in names}
    if row.faults:
        return []
    prompt = user_prompt(asked)
    return [
        Judgement(
            campaign="pandalm",
            annotator=name,
            prompt=prompt,
            first=first,
            second=second,
            choice=choice,
            first_shown="left",
            source="pandalm",
            created_at=now,
        )
        for name, choice in choices.items()
    ]


def _response(row: Row, name: str) -> str:
    value = row.fields.get(name)
    if isinstance(value, bool):
        row.notes.append("an answer is true or false instead of text; kept as the word")
        return str(value)
    text = row.text(name, may_be_empty=True)
    if isinstance(value, str) and not text.strip():
        row.notes.append("one answer is empty; kept")
    return text


def _choice(row: Row, name: str) -> Choice:
    value = row.fields.get(name)
    if type(value) is not int or value not in _CHOICES:
        row.faults.append(f"{name} says {value!r}; known are 0 (tie), 1 and 2")
        return "tie"
    return _CHOICES[value]
