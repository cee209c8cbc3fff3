"""Demonstrations format: `prompt` and `completion`, an example of a good answer. Not a rated answer (`label`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from assay.feedback.formats.pairs import UNKNOWN_ANNOTATOR
from assay.feedback.formats.registry import format_reader
from assay.feedback.formats.row import Row
from assay.records.judgement import Demonstration

FIELDS = frozenset({"prompt", "completion", "annotator"})


def _matches(fields: Mapping[str, object]) -> bool:
    return {"prompt", "completion"} <= fields.keys() and "label" not in fields


@format_reader("demonstrations", fields="prompt, completion", matches=_matches)
def read_demonstrations(row: Row, now: datetime) -> Sequence[Demonstration]:
    """One demonstration; the completion is text or one assistant message."""
    further = sorted(set(row.fields) - FIELDS)
    if "label" in further:
        row.faults.append("field 'label' rates an answer, which a demonstration is not; leave out what people disliked")
    elif further:
        row.notes.append(f"columns not used: {', '.join(further)}")
    prompt = row.prompt()
    completion = _completion(row)
    annotator = row.name("annotator", row.fields.get("annotator", UNKNOWN_ANNOTATOR))
    if row.faults:
        return []
    return [
        Demonstration(
            annotator=annotator, prompt=prompt, completion=completion, source="demonstrations", created_at=now
        )
    ]


def _completion(row: Row) -> str:
    if not isinstance(row.fields.get("completion"), list):
        return row.text("completion")
    return row.one_answer("completion", row.messages("completion"))
