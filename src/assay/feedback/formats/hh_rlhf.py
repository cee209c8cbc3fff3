r"""HH-RLHF format: `chosen` and `rejected` as transcripts of "\n\nHuman: …\n\nAssistant: …" that begin alike."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from assay.feedback.formats.pairs import chosen_over_rejected, divide
from assay.feedback.formats.registry import format_reader
from assay.feedback.formats.row import Row
from assay.records.conversation import Message, Prompt, Role
from assay.records.judgement import Judgement

_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}
_NAMES = {role: name for name, role in _ROLES.items()}


def _matches(fields: Mapping[str, object]) -> bool:
    transcripts = [fields.get("chosen"), fields.get("rejected")]
    return "prompt" not in fields and any(isinstance(text, str) and _TURN.match(text) for text in transcripts)


@format_reader("hh_rlhf", fields="chosen and rejected transcripts of Human and Assistant", matches=_matches)
def read_hh_rlhf(row: Row, now: datetime) -> Sequence[Judgement]:
    """One judgement for the end of `chosen` over the end of `rejected`, after the turns that both share.

    An answer that runs on into another Assistant turn stays one text; an empty answer stands, models do return nothing.
    """
    chosen, rejected = (_turns(row, name) for name in ("chosen", "rejected"))
    if row.faults:
        return []
    shared = divide(chosen, rejected)
    if not shared.chosen and not shared.rejected:
        row.faults.append("both completions are the same")
    elif not shared.prompt:
        row.faults.append("chosen and rejected share no prefix")
    first, second = (_answer(row, *part) for part in (("chosen", shared.chosen), ("rejected", shared.rejected)))
    row.differing(first, second)
    if row.faults:
        return []
    if not first.strip() or not second.strip():
        row.notes.append("one answer is empty; kept")
    return [chosen_over_rejected(shared.prompt, first, second, source="hh_rlhf", now=now)]


def _turns(row: Row, name: str) -> Prompt:
    text = row.text(name)
    if not text:
        return ()
    if not _TURN.match(text):
        row.faults.append(f"{name} does not begin with a Human or Assistant turn")
        return ()
    parts = _TURN.split(text)
    return tuple(
        Message(role=_ROLES[who], content=said.removeprefix(" "))
        for who, said in zip(parts[1::2], parts[2::2], strict=True)
    )


def _answer(row: Row, name: str, rest: Sequence[Message]) -> str:
    if row.faults:
        return ""
    if not rest or any(message.role != "assistant" for message in rest):
        row.faults.append(f"the transcripts part before the last answer of {name}")
        return ""
    if len(rest) > 1:
        row.notes.append("an answer runs on into further Assistant turns; kept as one text")
    head, *tail = rest
    return head.content + "".join(f"\n\n{_NAMES[message.role]}: {message.content}" for message in tail)
