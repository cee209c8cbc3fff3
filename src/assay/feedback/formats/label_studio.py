"""Label Studio format: tasks with `data` and `annotations`, as its JSON export gives them.

Read are `pairwise` and `choices` results that compare two answers (left, right, a letter, a number, `tie` and its kin),
`ranker` results that order them, and the first `textarea` as the reason. Cancelled annotations are left out.

Does not read: spans, `rating` results, predictions, relations; a note names the kinds that were passed over.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from assay.feedback.formats.registry import Finding, format_reader, format_writer
from assay.feedback.formats.row import Row
from assay.feedback.formats.screens import (
    PROMPTS,
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

Results = list[tuple[str, str, object]]
"""Name, kind and value of what one annotation says."""


def _matches(fields: Mapping[str, object]) -> bool:
    return isinstance(fields.get("data"), dict) and "annotations" in fields


@format_reader("label_studio", fields="data, annotations as Label Studio tasks", matches=_matches, shows_order=True)
def read_label_studio(row: Row, now: datetime) -> Sequence[Finding]:
    """One judgement, or a ranking with its pairs, for each annotation that was not cancelled."""
    data = row.inside("data")
    shown = _listed(data) or shown_in(data)
    annotations = row.fields.get("annotations")
    if not isinstance(annotations, list):
        row.faults.append("annotations is not a list")
    if row.faults or not isinstance(annotations, list):
        return []
    findings: list[Finding] = []
    for number in range(len(annotations)):
        one = Row({"annotation": annotations[number]}).inside("annotation")
        one.notes = row.notes
        if not one.fields.get("was_cancelled"):
            findings += _findings(shown, one, now)
        row.faults.extend(f"annotation {number + 1}: {fault}" for fault in one.faults)
    return [] if row.faults else findings


@format_writer("label_studio")
def write_label_studio(judgements: Iterable[Judgement]) -> Iterable[dict[str, object]]:
    """One task for each prompt with two answers on their sides; `answer1` stood on the left.

    A plain choice of a side is a `pairwise` result; a choice with a strength and every other one a `choices` result.
    """
    for number, (screen, group) in enumerate(by_screen(judgements), start=1):
        data = fields_shown(screen, group[0].prompt, names=("answer1", "answer2"))
        annotations = [_annotation(one) for one in group]
        yield {"id": number, "data": data, "annotations": annotations, "predictions": []}


def _annotation(one: Judgement) -> dict[str, object]:
    seen = screen_of(one)
    targets = "answer1,answer2"
    results: list[dict[str, object]] = []
    for name, answer in {"preference": seen.answer, **seen.attributes}.items():
        is_plain = answer in ("left", "right")
        value: dict[str, object] = {"selected": answer} if is_plain else {"choices": [answer]}
        kind = "pairwise" if is_plain else "choices"
        results.append({"from_name": name, "to_name": targets, "type": kind, "value": value})
    if one.reason:
        value = {"text": [one.reason]}
        results.append({"from_name": "reason", "to_name": targets, "type": "textarea", "value": value})
    written: dict[str, object] = {"completed_by": one.annotator, "was_cancelled": False, "result": results}
    timed = {} if one.time_on_task_s is None else {"lead_time": one.time_on_task_s}
    return {**written, **timed, "created_at": one.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")}


def _listed(data: Row) -> Shown | None:
    """Answers in one list of {id, body}, as a `Ranker` shows them; None where there is no such list."""
    lists = [value for value in data.fields.values() if isinstance(value, list) and _are_answers(value)]
    prompt = next((name for name in PROMPTS if name in data.fields), None)
    if len(lists) != 1 or prompt is None:
        return None
    answers = {str(one["id"]): str(one.get("body") or one.get("html") or one.get("title") or "") for one in lists[0]}
    if not 2 <= len(answers) == len(lists[0]) == len(set(answers.values())) <= 9:
        data.faults.append("the list does not hold 2 to 9 different answers")
    return Shown(data.prompt(prompt), answers)


def _are_answers(value: list[object]) -> bool:
    return bool(value) and all(isinstance(one, dict) and "id" in one for one in value)


def _findings(shown: Shown, one: Row, now: datetime) -> Sequence[Finding]:
    results = _results(one)
    voice = _voice(one, results, now)
    names = list(shown.answers)
    if one.faults:
        return []
    for name, kind, value in results:
        if kind == "ranker":
            ranks = ranks_in(value, names)
            if ranks is not None:
                return ranked(shown, ranks, voice)
            one.faults.append(f"{name} does not rank the answers of the task")
            return []
    is_read = ("pairwise", "choices")
    told = {name: value if kind in is_read else None for name, kind, value in results if kind != "textarea"}
    return comparison_in(one, shown, told, voice)


def _results(one: Row) -> Results:
    given = one.fields.get("result")
    found: Results = []
    for result in given if isinstance(given, list) else [None]:
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(result, dict) or not isinstance(value, dict):
            one.faults.append("a result without a value")
            continue
        kind = str(result.get("type"))
        found.append((str(result.get("from_name")), kind, _value(kind, value)))
    return found


def _value(kind: str, value: Mapping[str, object]) -> object:
    """The word, or the ranked names, in a result's value."""
    inner = value.get({"pairwise": "selected", "textarea": "text"}.get(kind, kind))
    if kind == "ranker" and isinstance(inner, dict) and len(inner) == 1:
        (inner,) = inner.values()
    if kind in ("choices", "textarea") and isinstance(inner, list) and len(inner) == 1:
        (inner,) = inner
    return [str(one) for one in inner] if kind == "ranker" and isinstance(inner, list) else inner


def _voice(one: Row, results: Results, now: datetime) -> Voice:
    by = one.fields.get("completed_by", "unknown")
    by = by.get("email") or by.get("id") if isinstance(by, dict) else by
    reason = next((str(value) for _, kind, value in results if kind == "textarea" and value), None)
    time = one.fields.get("lead_time")
    seconds = float(time) if isinstance(time, int | float) and not isinstance(time, bool) and time >= 0 else None
    return Voice(one.name("completed_by", by), "label_studio", "label_studio", _moment(one, now), reason, seconds)


def _moment(one: Row, now: datetime) -> datetime:
    text = one.fields.get("created_at")
    if text is None:
        return now
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        one.faults.append(f"created_at is {text!r}, not a time")
        return now
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
