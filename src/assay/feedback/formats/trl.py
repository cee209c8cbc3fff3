"""TRL format: preference rows with `prompt`, `chosen` and `rejected`, as text or as lists of messages.

The prompt may be text, messages, or implicit in two conversations that begin alike; a text prompt may stand beside
whole conversations that contain it (the UltraFeedback shape).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from textwrap import shorten

from assay.feedback.formats.pairs import behind_prompt, chosen_over_rejected, decided, divide
from assay.feedback.formats.registry import format_reader, format_writer
from assay.feedback.formats.row import Row
from assay.records.conversation import Prompt
from assay.records.judgement import Judgement

FIELDS = frozenset({"prompt", "chosen", "rejected"})
FEWEST_WORDS = 3
"""Words of a prompt from which two answers do not begin with it by chance."""


def _matches(fields: Mapping[str, object]) -> bool:
    return {"chosen", "rejected"} <= fields.keys()


@format_reader("trl", fields="prompt, chosen, rejected as text or messages", matches=_matches)
def read_trl(row: Row, now: datetime) -> Sequence[Judgement]:
    """One judgement for `chosen` over `rejected`; further columns are passed over with a note."""
    further = sorted(set(row.fields) - FIELDS)
    if further:
        row.notes.append(f"columns not used: {', '.join(further)}")
    if isinstance(row.fields.get("chosen"), list) and isinstance(row.fields.get("rejected"), list):
        prompt, chosen, rejected = _conversations(row)
    else:
        prompt, chosen, rejected = row.prompt(), row.text("chosen"), row.text("rejected")
        _refuse_repeated(row, chosen, rejected)
    row.differing(chosen, rejected)
    if row.faults:
        return []
    return [chosen_over_rejected(prompt, chosen, rejected, source="trl", now=now)]


@format_writer("trl")
def write_trl(judgements: Iterable[Judgement]) -> Iterable[dict[str, object]]:
    """One row of messages for each judgement that decides for one of two answers which are not empty."""
    for prompt, *answers in decided(judgements):
        chosen, rejected = ([{"role": "assistant", "content": text}] for text in answers)
        yield {"prompt": [message.model_dump() for message in prompt], "chosen": chosen, "rejected": rejected}


def _refuse_repeated(row: Row, chosen: str, rejected: str) -> None:
    """A fault where both completions repeat a prompt of several words, with the split that was meant."""
    prompt = row.fields.get("prompt")
    if row.faults or not isinstance(prompt, str) or len(prompt.split()) < FEWEST_WORDS:
        return
    rests = [behind_prompt(prompt, text) for text in (chosen, rejected)]
    if None not in rests:
        first, second = (shorten(rest or "", 40, placeholder=" ...") for rest in rests)
        row.faults.append(
            "chosen and rejected both repeat the prompt: leave it out of them, so that they are "
            f"{first!r} and {second!r}"
        )


def _conversations(row: Row) -> tuple[Prompt, str, str]:
    given = row.prompt() if row.fields.get("prompt") is not None else ()
    is_text = isinstance(row.fields.get("prompt"), str)
    chosen, rejected = row.messages("chosen"), row.messages("rejected")
    if row.faults:
        return (), "", ""
    shared = divide(chosen, rejected)
    prompt = shared.prompt
    if given and not _contains(prompt, given, is_text=is_text):
        if is_text and prompt:
            row.faults.append("the prompt is not in the messages that chosen and rejected share")
        elif prompt and prompt[0].role == given[-1].role:
            begin = shorten(prompt[0].content, 60, placeholder=" ...")
            row.faults.append(
                f"the prompt is not what chosen and rejected begin with ({begin!r}): leave `prompt` out, "
                "and what the two share is the prompt"
            )
        prompt = given + prompt
    if not shared.chosen and not shared.rejected:
        row.faults.append("both completions are the same")
    elif not prompt:
        row.faults.append("chosen and rejected share no prefix and there is no prompt")
    if row.faults:
        return (), "", ""
    after = "after the shared messages, "
    chosen_text = row.one_answer("chosen", shared.chosen, after=after)
    return prompt, chosen_text, row.one_answer("rejected", shared.rejected, after=after)


def _contains(prompt: Prompt, given: Prompt, *, is_text: bool) -> bool:
    """Whether the shared messages already hold the prompt: somewhere for a text, at the start for messages."""
    if is_text:
        return any(message.role == "user" and message.content.strip() == given[0].content.strip() for message in prompt)
    return prompt[: len(given)] == given
