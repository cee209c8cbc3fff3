"""Consent: the text that a person agrees to before the first item, by version, one purpose a text.

The version is the hash of the text: whoever agreed to another text is asked again. Every judgement from the annotation
page carries the version. A withdrawal (`assay.feedback.withdrawal`) ends consent; who comes back is asked again.
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
    after: str | None = None
    """The withdrawal after which the person came back."""


class Withdrawal(Record):
    """One person's word that nothing of theirs may be used, with the answers it reaches."""

    kind: ClassVar[str] = "withdrawal"
    annotator: str
    judgements: tuple[str, ...]
    demonstrations: tuple[str, ...] = ()
    previous: str | None = None
    """The withdrawal before, where the person had come back since."""


TEXTS: dict[Purpose, ConsentText] = {
    "train": ConsentText(
        purpose="train",
        title="Before you start",
        paragraphs=(
            "You will see a prompt with two or more answers and say which is better. What you choose and write "
            "is used to train and to test a language model.",
            "We store the name you gave, what you chose, what you wrote (comments, reasons, better answers), when you "
            "took a break, and about how long each item was in front of you. We do not store how you move the pointer "
            "or how you type.",
            "Taking part is voluntary. You may say that you cannot judge an item, skip it, and stop at any time.",
            "You may take back what you said at any time, under your name at the top of the page. What a model has "
            "learnt by then, and copies that were passed on, cannot be reached.",
            "Some answers were written by a machine and may be wrong, rude or unpleasant.",
        ),
    )
}


def give_consent(records: RecordStore, annotator: str, purpose: Purpose, *, now: datetime) -> Consent:
    """Store a person's yes to the current text."""
    after = _withdrawn(records, annotator)
    consent = Consent(annotator=annotator, purpose=purpose, version=TEXTS[purpose].version, after=after, created_at=now)
    records.put(consent, subject=annotator)
    return consent


def consent_version(records: RecordStore, annotator: str, purpose: Purpose) -> str | None:
    """The version that a person agreed to, if it is the current one; else None, and they must be asked."""
    current, after = TEXTS[purpose].version, _withdrawn(records, annotator)
    given = records.all(Consent, subject=annotator)
    is_given = any(c.purpose == purpose and c.version == current and c.after == after for c in given)
    return current if is_given else None


def _withdrawn(records: RecordStore, annotator: str) -> str | None:
    last = records.latest(Withdrawal, subject=annotator)
    return last.id if last else None
