"""Personal data at the door: shows a person what was found in what they wrote, before it is stored.

Takes the fields of a form and what stood on the screen; yields the fields to store, or the question to ask first. What
stood on the screen already is nothing that this person gave away. The question is a plain form that posts to where the
first one went, so it works with scripts off and nothing is kept on the server meanwhile.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fastapi import Response

from assay.feedback.pii import MARKS, WORDS, Found, redact
from assay.feedback.pii_finders import Finder
from assay.records.judgement import Item
from assay.records.record import digest
from assay.web.site import Desk

_WRITTEN = {
    "reason": "Why you cannot judge",
    "edit": "Your version",
    "note": "What you added",
    "comment": "Your comment on a passage",
    "quote": "The passage you marked",
}
_CRITIQUE = re.compile(r"critique\.\d{1,2}\.(comment|quote)")


class Text(NamedTuple):
    """One text of a form: its field, what people call it, the words, and the personal data in them."""

    field: str
    label: str
    text: str
    found: list[Found]


def settled(fields: Mapping[str, str], texts: Sequence[Text]) -> dict[str, str] | None:
    """The fields as they may be stored, or None where the person has to be asked what to do with personal data."""
    told = {text.field: text for text in texts if text.found}
    if not told or (fields.get("personal") == "keep" and fields.get("personal_seen") == seen(texts)):
        return dict(fields)
    if fields.get("personal") != "hide":
        return None
    return {name: redact(value, told[name].found) if name in told else value for name, value in fields.items()}


def texts_of(fields: Mapping[str, str], item: Item, finder: Finder) -> list[Text]:
    """What a person wrote, field by field, with the personal data in it that did not stand on the screen."""
    shown = "\n".join([*(message.content for message in item.prompt), *item.completions])
    texts = []
    for name, value in fields.items():
        critique = _CRITIQUE.fullmatch(name)
        label = _WRITTEN.get(critique[1] if critique else name)
        if label is not None and value.strip():
            found = [one for one in finder(value) if one.text not in shown]
            texts.append(Text(name, label, value, found))
    return texts


def question(desk: Desk, address: str, fields: Mapping[str, str], texts: Sequence[Text], progress: object) -> Response:
    """The page that lists what was found and asks: hide it, correct the text, or store it as it is."""
    written = {text.field for text in texts}
    kept = {
        name: value for name, value in fields.items() if name not in {*written, "token", "personal", "personal_seen"}
    }
    values = {"address": address, "kept": kept, "texts": texts, "seen": seen(texts), "words": WORDS, "marks": MARKS}
    return desk.site.page("personal.html", {**desk.shared, **values, "progress": progress})


def seen(texts: Sequence[Text]) -> str:
    """What says that exactly this was shown to the person."""
    return digest([[text.field, one.kind, one.text] for text in texts for one in text.found])[:16]
