"""Consent: what a person agrees to before the first item, purpose by purpose, each text known by its version.

The version is the hash of the text: whoever answered another text is asked again. A person may say yes to some purposes
and no to others, and change their mind at any time; the last word counts, for everything they said before as well
(`assay.storage.permission` keeps to it). Every judgement from the annotation page carries the version of a text that
its person agreed to. A withdrawal (`assay.feedback.withdrawal`) ends consent; who comes back is asked again.

Of another kind is the word on what people told of themselves (`group_consent`): it is about no answer, stands with what
was told, and is on the receipt beside the purposes.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import ClassVar, Literal, NamedTuple

from assay.feedback.panels import Traits
from assay.records.consent import Consent, Purpose, Withdrawal
from assay.records.record import Record, Value, digest
from assay.storage import RecordStore

ABOUT = (
    "You will see a prompt with two or more answers and say which is better.",
    "We store the name you gave, what you chose, what you wrote (comments, reasons, better answers), when you took "
    "a break, and about how long each item was in front of you. We do not store how you move the pointer or type.",
    "Taking part is voluntary. You may say that you cannot judge an item, skip it, and stop at any time.",
    "You may take back what you said, or change what it may be used for, at any time, under your name at the top of "
    "the page. What a model has learnt by then, and copies that were passed on, cannot be reached.",
    "Some answers were written by a machine and may be wrong, rude or unpleasant.",
)

Use = Purpose | Literal["groups"]
"""What people are asked for: purposes of their answers, and to let what they told of themselves show `groups`."""


class ConsentText(Value):
    """What a person is asked for one purpose, beneath what they are told in any case."""

    purpose: Use
    title: str
    paragraphs: tuple[str, ...]
    about: tuple[str, ...] = ABOUT

    @property
    def version(self) -> str:
        """Hash of the text, the twelve first digits."""
        return _version(self)


class ConsentDocument(Record):
    """A text that somebody was asked, kept so that a receipt can show it when the text has changed."""

    kind: ClassVar[str] = "consent_text"
    text: ConsentText


class Entry(Value):
    """One purpose on a receipt: the person's last word, when they gave it, and the text of then, where it is known."""

    purpose: Use
    version: str
    is_given: bool
    at: datetime
    text: ConsentText | None


class Receipt(Value):
    """What a person agreed to and what not, for them to keep; `digest` is the hash of the entries."""

    annotator: str
    entries: tuple[Entry, ...]
    withdrawn_at: datetime | None
    digest: str


class Question(NamedTuple):
    """One purpose as a page asks for it, with the person's last word on it."""

    text: ConsentText
    is_given: bool


TEXTS: dict[Purpose, ConsentText] = {
    "train": ConsentText(
        purpose="train",
        title="Train a language model",
        paragraphs=(
            "What you choose and write is used to train a language model. What a model has learnt cannot be taken out "
            "of it again.",
        ),
    ),
    "evaluate": ConsentText(
        purpose="evaluate",
        title="Test language models",
        paragraphs=(
            "What you choose and write is used to judge how good a language model is and whether it may be released. "
            "This trains none.",
        ),
    ),
    "publish": ConsentText(
        purpose="publish",
        title="Publish as data",
        paragraphs=(
            "What you choose and write may be published, with a pseudonym in place of your name and with e-mail "
            "addresses, numbers and the like taken out. Copies that others made cannot be called back.",
        ),
    ),
    "research": ConsentText(
        purpose="research",
        title="Research",
        paragraphs=(
            "Researchers may study what you choose and write, under a pseudonym and without publishing it, to learn "
            "how people judge and where they differ.",
        ),
    ),
}


def decide(records: RecordStore, annotator: str, purposes: Collection[Purpose], *, now: datetime) -> list[Consent]:
    """Store a yes to these purposes and a no to all others, under the current texts; what was said so already stays."""
    return _say(records, annotator, {purpose: purpose in purposes for purpose in TEXTS}, now=now)


def give_consent(records: RecordStore, annotator: str, purpose: Purpose, *, now: datetime) -> Consent:
    """Store a person's yes to the current text of one purpose; the others stay as they are."""
    said = _say(records, annotator, {purpose: True}, now=now)
    return said[0] if said else _words(records, annotator)[purpose]


def consent_version(records: RecordStore, annotator: str, purpose: Purpose) -> str | None:
    """The version that a person agreed to, if it is the current one and their last word; else None."""
    word = _words(records, annotator).get(purpose)
    is_given = word is not None and not word.is_refused and word.version == TEXTS[purpose].version
    return TEXTS[purpose].version if is_given else None


def agreed_version(records: RecordStore, annotator: str) -> str | None:
    """Version of the first purpose to which a person says yes today; None where they are to be asked before they judge.

    They are asked while they said yes to nothing, and again when a text changed on which they gave their word.
    """
    words = _words(records, annotator)
    if any(word.version != TEXTS[purpose].version for purpose, word in words.items()):
        return None
    return next((TEXTS[one].version for one in TEXTS if one in words and not words[one].is_refused), None)


def questions(records: RecordStore, annotator: str) -> list[Question]:
    """Every purpose as it is asked now; a yes counts as the last word under the current text only."""
    return [Question(text, consent_version(records, annotator, purpose) is not None) for purpose, text in TEXTS.items()]


def receipt(records: RecordStore, annotator: str) -> Receipt:
    """What a person agreed to, in the words of then, where those are known."""
    texts = {one.text.version: one.text for one in records.all(ConsentDocument)}
    texts |= {text.version: text for text in TEXTS.values()}
    entries = [
        Entry(
            purpose=purpose,
            version=word.version,
            is_given=not word.is_refused,
            at=word.created_at,
            text=texts.get(word.version),
        )
        for purpose, word in _words(records, annotator).items()
    ]
    entries += _on_groups(records, annotator, texts)
    gone = records.latest(Withdrawal, subject=annotator)
    return Receipt(
        annotator=annotator,
        entries=tuple(entries),
        withdrawn_at=gone.created_at if gone else None,
        digest=digest([annotator, *(entry.model_dump(mode="json") for entry in entries)]),
    )


def _say(records: RecordStore, annotator: str, yes: dict[Purpose, bool], *, now: datetime) -> list[Consent]:
    before, after = _words(records, annotator), _withdrawn(records, annotator)
    earlier = {one.purpose: one.id for one in records.all(Consent, subject=annotator)}
    said = []
    for purpose, is_yes in yes.items():
        text, word = TEXTS[purpose], before.get(purpose)
        if word is not None and word.version == text.version and bool(word.is_refused) is not is_yes:
            continue
        said.append(
            Consent(
                annotator=annotator,
                purpose=purpose,
                version=text.version,
                after=after,
                is_refused=None if is_yes else True,
                previous=earlier.get(purpose),
                created_at=now,
            )
        )
    documents = [ConsentDocument(text=TEXTS[one.purpose], created_at=now) for one in said]
    records.put_all([*((one, None, one.text.version) for one in documents), *((one, None, annotator) for one in said)])
    return said


def _on_groups(records: RecordStore, annotator: str, texts: Mapping[str, ConsentText]) -> list[Entry]:
    """The word on what a person told, where there is one that was not erased, since they last withdrew."""
    told = records.latest(Traits, subject=annotator)
    if told is None or told.groups is None or told.groups.after != _withdrawn(records, annotator):
        return []
    word = told.groups
    text = texts.get(word.version)
    return [Entry(purpose="groups", version=word.version, is_given=word.is_given, at=told.created_at, text=text)]


def _words(records: RecordStore, annotator: str) -> dict[Purpose, Consent]:
    """A person's last word on each purpose since they last withdrew."""
    after = _withdrawn(records, annotator)
    return {one.purpose: one for one in records.all(Consent, subject=annotator) if one.after == after}


@cache
def _version(text: ConsentText) -> str:
    return digest(text.model_dump())[:12]


def _withdrawn(records: RecordStore, annotator: str) -> str | None:
    last = records.latest(Withdrawal, subject=annotator)
    return last.id if last else None
