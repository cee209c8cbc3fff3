"""Consent: a person's word on the use of what they say, purpose by purpose, and that they took everything back."""

from typing import ClassVar, Literal

from assay.records.record import Record

Purpose = Literal["train", "evaluate", "publish", "research"]


class Consent(Record):
    """One person's word on one purpose under one version of its text; the last one counts."""

    kind: ClassVar[str] = "consent"
    annotator: str
    purpose: Purpose
    version: str
    after: str | None = None
    """The withdrawal after which the person came back."""
    is_refused: bool | None = None
    """True: a no, or a yes that was taken back. None: a yes."""
    previous: str | None = None
    """The word before on this purpose, where there was one."""


class Withdrawal(Record):
    """One person's word that nothing of theirs may be used, with the answers it reaches."""

    kind: ClassVar[str] = "withdrawal"
    annotator: str
    judgements: tuple[str, ...]
    demonstrations: tuple[str, ...] = ()
    previous: str | None = None
    """The withdrawal before, where the person had come back since."""
