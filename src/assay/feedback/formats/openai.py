"""OpenAI format: preference fine-tuning rows with `input`, `preferred_output` and `non_preferred_output`.

`input.messages` is the prompt, each output is one assistant message
(https://developers.openai.com/api/docs/guides/direct-preference-optimization). Tools are not read: a row that declares
some is noted.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from assay.feedback.formats.pairs import chosen_over_rejected, decided
from assay.feedback.formats.registry import format_reader, format_writer
from assay.feedback.formats.row import Row
from assay.records.judgement import Judgement

OUTPUTS = ("preferred_output", "non_preferred_output")


def _matches(fields: Mapping[str, object]) -> bool:
    return set(OUTPUTS) <= fields.keys()


@format_reader("openai", fields="input with messages, preferred_output, non_preferred_output", matches=_matches)
def read_openai(row: Row, now: datetime) -> Sequence[Judgement]:
    """One judgement for the preferred over the other output."""
    asked = row.inside("input")
    prompt = asked.prompt("messages") if isinstance(asked.fields.get("messages"), list) else asked.messages("messages")
    if asked.fields.get("tools"):
        row.notes.append("tools are not used")
    chosen, rejected = (row.one_answer(name, row.messages(name)) for name in OUTPUTS)
    row.differing(chosen, rejected)
    return [] if row.faults else [chosen_over_rejected(prompt, chosen, rejected, source="openai", now=now)]


@format_writer("openai")
def write_openai(judgements: Iterable[Judgement]) -> Iterable[dict[str, object]]:
    """One row for each judgement that decides for one of two answers which are not empty; the others have no place."""
    for prompt, chosen, rejected in decided(judgements):
        outputs = ([{"role": "assistant", "content": text}] for text in (chosen, rejected))
        messages = [message.model_dump() for message in prompt]
        yield {"input": {"messages": messages}, **dict(zip(OUTPUTS, outputs, strict=True))}
