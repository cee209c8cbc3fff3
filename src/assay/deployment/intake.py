"""Intake: takes feedback from live use, yields judgements where there is consent and bare signals where there is none.

A thumb becomes a signal. A preference pair becomes a `Judgement` with source `live` only under the current consent text
and for the purpose `train`; otherwise its choice is counted and its text is dropped. Only text that this gateway wrote
comes in: every reply carries receipts, keyed digests that nobody else can make.

Catches: made-up completions, replies and releases; a second word on one reply; feedback under another consent text.
Does not catch: many accounts of one person, people who lie about what they prefer, private data inside a prompt.
"""

import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from assay.records.conversation import Prompt, prompt_id
from assay.records.errors import InputError, StorageError, explain
from assay.records.judgement import Judgement, Side
from assay.records.record import Record, Value, digest
from assay.records.release import Release, Signal
from assay.storage import Workspace

CONSENT_TEXT = (
    "You may let us keep your question, both answers and your choice, to train a language model. We keep them under a "
    "made-up name. It is voluntary: without your consent we only count your choice and keep no text."
)
CONSENT_VERSION = digest(CONSENT_TEXT)[:12]


class ConsentReceipt(Record):
    """One person's yes to one text for one purpose, given with live feedback."""

    kind: ClassVar[str] = "live_consent"
    annotator: str
    version: str
    purpose: Literal["train"]


class ConsentGiven(Value):
    """What a client says of consent: to which text, for which purposes."""

    version: str
    purposes: tuple[str, ...]


class Thumb(Value):
    """A thumb on one reply."""

    type: Literal["thumb"]
    reply_id: str = Field(max_length=200)
    thumb: Literal["up", "down"]
    user: str = Field(min_length=1, max_length=200)


class Shown(Value):
    """One completion as it was shown, with the receipt that came with it."""

    text: str
    receipt: str = Field(max_length=100)


class Pair(Value):
    """A choice between two completions of one prompt; `first_shown` says where `first` stood."""

    type: Literal["preference"]
    reply_id: str = Field(max_length=200)
    prompt: Prompt = Field(min_length=1)
    first: Shown
    second: Shown
    choice: Literal["first", "second", "tie", "both_bad"]
    first_shown: Side
    user: str = Field(min_length=1, max_length=200)
    consent: ConsentGiven | None = None


class Receipt(NamedTuple):
    """What became of feedback: the record that was stored, and whether its text was kept, in a sentence."""

    kind: str
    id: str
    release: str
    text_is_kept: bool
    note: str


class Seal:
    """Keyed digests (HMAC-SHA-256) with one secret of the workspace: pseudonyms and receipts."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, *parts: str) -> str:
        """Digest of the parts, 32 hex digits; the lengths are hashed too, so parts cannot be shifted."""
        message = b"".join(len(part.encode()).to_bytes(8, "big") + part.encode() for part in parts)
        return hmac.new(self._key, message, sha256).hexdigest()[:32]

    def pseudonym(self, user_key: str) -> str:
        """The name under which a person's live judgements are kept."""
        return f"live-{self.of('annotator', user_key)[:16]}"

    def reply_id(self, nonce: str, release: str) -> str:
        """Identity of a reply, which names its release and cannot be made up."""
        return f"chatcmpl-{nonce}-{release}-{self.of('reply', nonce, release)}"

    def release_of(self, reply_id: str) -> str:
        """The release that gave a reply. Raises InputError when the gateway never gave it."""
        parts = reply_id.split("-")
        if len(parts) != 4 or not hmac.compare_digest(self.reply_id(parts[1], parts[2]).encode(), reply_id.encode()):
            raise InputError(
                explain(expected="the id of a reply of this gateway", got=repr(reply_id[:60]), do="send it unchanged")
            )
        return parts[2]

    def receipt(self, prompt: Prompt, text: str) -> str:
        """Receipt for a completion of a prompt."""
        return self.of("completion", prompt_id(prompt), text)


def load_seal(directory: Path) -> Seal:
    """The workspace's seal; its secret is made at the first use and readable by its owner alone."""
    path = directory / "keys" / "live.key"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, new = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            with suppress(FileExistsError):
                os.link(new, path)
            os.unlink(new)
        return Seal(path.read_bytes())
    except OSError as error:
        do = "mend the folder's rights"
        raise StorageError(explain(expected=f"a key in {path}", got=str(error), do=do)) from error


def take_thumb(workspace: Workspace, seal: Seal, thumb: Thumb, *, now: datetime) -> Receipt:
    """Store a thumb as a signal. Raises InputError for a reply that is not ours or that has its word already."""
    release = seal.release_of(thumb.reply_id)
    value = 1.0 if thumb.thumb == "down" else 0.0
    signal = _signal(workspace, "thumbs_down", value, thumb.reply_id, release, now)
    workspace.records.put(signal, subject=_subject(signal))
    return Receipt(signal.kind, signal.id, release, text_is_kept=False, note="your thumb was counted")


def take_pair(workspace: Workspace, seal: Seal, pair: Pair, *, now: datetime) -> Receipt:
    """Store a preference: a judgement under consent, else a signal without text. Raises InputError as `take_thumb`."""
    release = seal.release_of(pair.reply_id)
    for shown in (pair.first, pair.second):
        if not hmac.compare_digest(seal.receipt(pair.prompt, shown.text).encode(), shown.receipt.encode()):
            got, do = "one that was changed or made elsewhere", "send prompt, text and receipt as they came"
            raise InputError(explain(expected="completions of this gateway for this prompt", got=got, do=do))
    value = {"first": 1.0, "second": 0.0}.get(pair.choice, 0.5)
    signal = _signal(workspace, "preference", value, pair.reply_id, release, now)
    refusal = _why_not(pair.consent)
    if refusal is not None:
        workspace.records.put(signal, subject=_subject(signal))
        note = f"your choice was counted and no text was kept: {refusal}"
        return Receipt(signal.kind, signal.id, release, text_is_kept=False, note=note)
    annotator = seal.pseudonym(pair.user)
    judgement = Judgement(
        created_at=now,
        campaign="live",
        annotator=annotator,
        prompt=pair.prompt,
        first=pair.first.text,
        second=pair.second.text,
        choice=pair.choice,
        first_shown=pair.first_shown,
        consent_version=CONSENT_VERSION,
        source="live",
    )
    consent = ConsentReceipt(created_at=now, annotator=annotator, version=CONSENT_VERSION, purpose="train")
    workspace.records.put_all(
        [(signal, None, _subject(signal)), (consent, None, annotator), (judgement, None, annotator)]
    )
    note = "your choice was kept with its text, to train a language model"
    return Receipt(judgement.kind, judgement.id, release, text_is_kept=True, note=note)


def _why_not(consent: ConsentGiven | None) -> str | None:
    if consent is None:
        return "you gave no consent"
    if consent.version != CONSENT_VERSION:
        return f"your consent is to text {consent.version!r}, the current one is {CONSENT_VERSION!r}"
    return None if "train" in consent.purposes else "your consent does not cover the purpose 'train'"


def _signal(workspace: Workspace, name: str, value: float, reply_id: str, release: str, now: datetime) -> Signal:
    """One signal for one reply. Raises InputError when the reply has its word of this name already."""
    workspace.records.get(Release, release)
    signal = Signal(
        created_at=now, release=release, name=name, value=value, bucket="feedback", detail={"reply": reply_id}
    )
    if workspace.records.count(Signal, subject=_subject(signal)):
        got, do = "a second one", "the first word stands"
        raise InputError(explain(expected=f"one {name} on a reply", got=got, do=do))
    return signal


def _subject(signal: Signal) -> str:
    return f"{signal.name}:{signal.detail['reply']}"
