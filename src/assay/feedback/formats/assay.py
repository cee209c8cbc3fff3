"""Assay format: judgements as the exporter writes them, and as people may write them by hand.

Needed: `prompt` (text or messages), `first`, `second`, `choice`. Every other field of a judgement may be given.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from assay.feedback.formats.pairs import UNKNOWN_ANNOTATOR
from assay.feedback.formats.registry import format_reader, format_writer
from assay.feedback.formats.row import Row
from assay.records.judgement import Judgement


def _matches(fields: Mapping[str, object]) -> bool:
    return {"first", "second", "choice"} <= fields.keys()


@format_reader(
    "assay",
    fields="prompt, first, second, choice; also annotator, first_shown, attributes, …",
    matches=_matches,
    shows_order=True,
)
def read_assay(row: Row, now: datetime) -> Sequence[Judgement]:
    """One judgement. What a row leaves out is filled in: annotator `unknown`, `first` on the left, made now."""
    prompt = row.prompt()
    first, second = (row.text(name, may_be_empty=True) for name in ("first", "second"))
    row.differing(first, second)
    row.finite("time_on_task_s")
    annotator = row.fields.get("annotator", UNKNOWN_ANNOTATOR)
    if isinstance(annotator, str):
        row.name("annotator", annotator)
    filled = {"campaign": "assay", "annotator": annotator, "first_shown": "left", "created_at": now}
    judgement = _judgement(row, {**filled, **row.fields, "prompt": prompt or row.fields.get("prompt")})
    if row.faults or judgement is None:
        return []
    if not first.strip() or not second.strip():
        row.notes.append("one answer is empty; kept")
    return [judgement]


@format_writer("assay")
def write_assay(judgements: Iterable[Judgement]) -> Iterable[dict[str, object]]:
    """Every field of each judgement; nothing is lost."""
    return (judgement.model_dump(mode="json") for judgement in judgements)


def _judgement(row: Row, fields: Mapping[str, object]) -> Judgement | None:
    try:
        return Judgement.model_validate(fields)
    except ValidationError as error:
        told = {"prompt", "first", "second"}
        for fault in error.errors(include_url=False):
            place = ".".join(str(part) for part in fault["loc"])
            if fault["loc"][:1] and fault["loc"][0] in told:
                continue
            if fault["type"] == "extra_forbidden":
                row.faults.append(f"unknown field {place!r}")
            elif fault["type"] == "missing":
                row.faults.append(f"field {place!r} is missing")
            else:
                row.faults.append(f"{place} {fault['input']!r:.80}: {fault['msg']}")
        return None
