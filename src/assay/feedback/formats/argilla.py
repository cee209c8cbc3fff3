"""Argilla format: records with `fields` and `responses` by question, as `dataset.records.to_list()` gives them.

A question that compares two answers may hold the name of a field, a side, a letter, a number, or `tie` and its kin; a
ranking question holds the names from the best, or {value, rank}. Further questions with such answers are attributes,
one called `reason` or `comment` is the reason. Of a file only submitted responses are read.

Does not read: spans, ratings of one answer, suggestions, vectors; a note names the questions that were passed over.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from assay.feedback.formats.registry import Finding, format_reader, format_writer
from assay.feedback.formats.row import Row
from assay.feedback.formats.screens import (
    REASONS,
    Shown,
    Voice,
    by_screen,
    comparison_in,
    fields_shown,
    ranked,
    ranks_in,
    screen_of,
    shown_in,
)
from assay.records.judgement import Judgement

SUBMITTED = (None, "submitted")


def _matches(fields: Mapping[str, object]) -> bool:
    return isinstance(fields.get("fields"), dict) and "responses" in fields


@format_reader("argilla", fields="fields, responses as Argilla records", matches=_matches, shows_order=True)
def read_argilla(row: Row, now: datetime) -> Sequence[Finding]:
    """One judgement, or a ranking with its pairs, for each person who submitted a comparison."""
    shown = shown_in(_plain(row.inside("fields")))
    said = _said(row)
    if row.faults:
        return []
    findings: list[Finding] = []
    for person, answers in said.items():
        annotator = row.name("user_id", person)
        reason = next((str(answers[name]) for name in REASONS if answers.get(name)), None)
        voice = Voice(annotator, "argilla", "argilla", now, reason=reason)
        findings += _findings(row, shown, answers, voice)
    return [] if row.faults else findings


@format_writer("argilla")
def write_argilla(judgements: Iterable[Judgement]) -> Iterable[dict[str, object]]:
    """One record for each prompt with two answers on their sides; `response1` stood on the left.

    Argilla knows people by UUID: a name that is none is turned into one, the same in every file.
    """
    for screen, group in by_screen(judgements):
        responses: dict[str, list[dict[str, str]]] = defaultdict(list)
        for one in group:
            seen, user = screen_of(one), _uuid(one.annotator)
            said = {"preference": str(seen.answer), **seen.attributes, **({"reason": one.reason} if one.reason else {})}
            for name, value in said.items():
                responses[name].append({"value": value, "user_id": user})
        fields = fields_shown(screen, group[0].prompt, names=("response1", "response2"))
        yield {"fields": fields, "metadata": {}, "suggestions": {}, "responses": dict(responses), "vectors": {}}


def _plain(fields: Row) -> Row:
    """Chat fields hold messages with further keys; only role and content are read."""
    for name, value in list(fields.fields.items()):
        if isinstance(value, list) and all(isinstance(one, dict) for one in value):
            chat = [{key: one.get(key) for key in ("role", "content")} for one in value]
            fields.fields = {**fields.fields, name: chat}
    return fields


def _said(row: Row) -> dict[str, dict[str, object]]:
    """What each person submitted, by question."""
    said: dict[str, dict[str, object]] = defaultdict(dict)
    questions = row.fields.get("responses")
    if not isinstance(questions, dict):
        row.faults.append("responses does not hold questions with their answers")
        return {}
    for question, answers in questions.items():
        for answer in answers if isinstance(answers, list) else [None]:
            if not isinstance(answer, dict) or "value" not in answer or not answer.get("user_id"):
                row.faults.append(f"question {question!r} holds an answer without value and user_id")
            elif answer.get("status") in SUBMITTED:
                said[str(answer["user_id"])][question] = answer["value"]
    return said


def _findings(row: Row, shown: Shown, answers: Mapping[str, object], voice: Voice) -> Sequence[Finding]:
    names = list(shown.answers)
    for question, value in answers.items():
        ranks = ranks_in(value, names)
        if ranks is not None:
            return ranked(shown, ranks, voice)
        if isinstance(value, list):
            row.notes.append(f"question {question!r} does not rank the answers; passed over")
    questions = {name: value for name, value in answers.items() if name not in REASONS}
    return comparison_in(row, shown, questions, voice)


def _uuid(annotator: str) -> str:
    try:
        return str(UUID(annotator))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, f"assay:annotator:{annotator}"))
