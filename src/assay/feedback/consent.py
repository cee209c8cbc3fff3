"""Consent: the text that a person agrees to before the first item, by version, one purpose a text.

The version is the hash of the text: whoever agreed to another text is asked again. Every judgement from the annotation
page carries the version. Does not do: withdrawal of what was already given.
"""

from datetime import datetime
from typing import ClassVar, Literal

from assay.records.record import Record, Value, digest
from assay.storage import RecordStore

Purpose = Literal["train"]


class ConsentText(Value):
    """What a person is asked, and for what purpose."""

    purpose: Purpose
    title: str
    paragraphs: tuple[str, ...]

    @property
    def version(self) -> str:
        """Hash of the text, the twelve first digits."""
        return digest(self.model_dump())[:12]


class Consent(Record):
    """One person's yes to one version of one text."""

    kind: ClassVar[str] = "consent"
    annotator: str
    purpose: Purpose
    version: str


TEXTS: dict[Purpose, ConsentText] = {
    "train": ConsentText(
        purpose="train",
        title="Before you start",
        paragraphs=(
            "You will see a prompt with two answers and say which answer is better. What you choose is used to train "
            "and to test a language model.",
            "We store the name you gave, what you chose, and about how long the pair was in front of you. We do not "
            "store how you move the pointer or what you type.",
            "Taking part is voluntary. You may say that you cannot judge a pair, and stop at any time.",
            "Some answers were written by a machine and may be wrong, rude or unpleasant.",
        ),
    )
}


def give_consent(records: RecordStore, annotator: str, purpose: Purpose, *, now: datetime) -> Consent:
    """Store a person's yes to the current text."""
    consent = Consent(annotator=annotator, purpose=purpose, version=TEXTS[purpose].version, created_at=now)
    records.put(consent, subject=annotator)
    return consent


def consent_version(records: RecordStore, annotator: str, purpose: Purpose) -> str | None:
    """The version that a person agreed to, if it is the current one; else None, and they must be asked."""
    current = TEXTS[purpose].version
    given = records.all(Consent, subject=annotator)
    return current if any(c.purpose == purpose and c.version == current for c in given) else None
