"""Webhooks: tells another program what happened, signed, at least once. Takes records, yields posts to be made.

Events are read from the records themselves, so none is lost by a crash: `judgement`, `campaign` (a new state),
`consent` (a word on a purpose) and `withdrawal`, after which whoever keeps copies has to delete them. People stand in
them by the pseudonyms of exports, and identities are keyed as well, for a plain one is a hash over a name. Whoever gets
an event twice knows it by its `id`. Signed is `TIME.BODY` by HMAC-SHA256 (`X-Assay-Signature: t=TIME,v1=HEX`).

Catches: a forged or changed post, a post that failed (it is made again next time). Does not catch: a receiver that
answers yes and forgets. Reads all records on each run: meant for thousands of judgements an hour, not for millions.
"""

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import ClassVar, Literal, NamedTuple
from urllib.parse import urlsplit

from assay.feedback.campaign import CampaignState
from assay.feedback.formats.row import name_fault
from assay.feedback.pseudonyms import pseudonym
from assay.records.consent import Consent, Withdrawal
from assay.records.errors import InputError, explain
from assay.records.judgement import Judgement
from assay.records.record import Record, UtcTime, Value, canonical_json
from assay.storage import RecordStore

BATCH = 100
HERE = ("localhost", "127.0.0.1", "::1")

Post = Callable[[str, bytes, Mapping[str, str]], int]
"""Posts a body with headers to an address and returns the status; 0 where nobody answered."""


class Webhook(Record):
    """Where events of a workspace go; the last record of a name counts."""

    kind: ClassVar[str] = "webhook"
    name: str
    url: str
    is_closed: bool = False
    previous: str | None = None


class Delivery(Record):
    """Events that a receiver took."""

    kind: ClassVar[str] = "delivery"
    webhook: str
    events: tuple[str, ...]


class Event(Value):
    """One thing that happened."""

    id: str
    event: Literal["judgement", "campaign", "consent", "withdrawal"]
    at: UtcTime
    campaign: str | None = None
    person: str | None = None
    """A pseudonym."""
    state: str | None = None
    """Of a campaign; or `given` or `refused` for consent."""
    purpose: str | None = None


class Delivered(NamedTuple):
    """How many events were taken and how many wait; `status` is that of the last post (200 where none was needed)."""

    taken: int
    waiting: int
    status: int


def open_webhook(records: RecordStore, name: str, url: str, *, now: datetime, is_closed: bool = False) -> Webhook:
    """Store a webhook, or change one of this name. Raises InputError for an address that would show what is sent."""
    faults = [fault] if (fault := name_fault(name)) else []
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in HERE):
        faults.append("an address without https that is not on this machine")
    if not parts.hostname or parts.username or parts.password:
        faults.append("an address without a host, or with a password in it")
    if faults:
        raise InputError(explain(expected="a webhook", got="; ".join(faults), do="give an https:// address"))
    before = records.latest(Webhook, subject=name)
    previous = before.id if before else None
    hook = Webhook(name=name, url=url, is_closed=is_closed, previous=previous, created_at=now)
    records.put(hook, subject=name)
    return hook


def open_webhooks(records: RecordStore) -> list[Webhook]:
    """The webhooks that are not closed."""
    last = {hook.name: hook for hook in records.all(Webhook)}
    return [hook for hook in last.values() if not hook.is_closed]


def secret_of(hook: Webhook, key: bytes) -> str:
    """What signs the posts of a webhook (64 hex digits); it follows from the workspace's key and the hook's name."""
    return hmac.new(key, f"webhook\n{hook.name}".encode(), sha256).hexdigest()


def signature(secret: str, body: bytes, *, now: datetime) -> str:
    """The value of `X-Assay-Signature`."""
    moment = str(int(now.timestamp()))
    return f"t={moment},v1={hmac.new(secret.encode(), moment.encode() + b'.' + body, sha256).hexdigest()}"


def waiting_events(records: RecordStore, hook: Webhook, key: bytes) -> list[Event]:
    """What a receiver has not taken yet, kind by kind in the order it was stored."""
    taken = {one for delivery in records.all(Delivery, subject=hook.name) for one in delivery.events}
    return [event for event in _events(records, key) if event.id not in taken]


def deliver(records: RecordStore, hook: Webhook, post: Post, *, key: bytes, now: datetime) -> Delivered:
    """Post what waits, batch by batch, until all is taken or a receiver refuses."""
    waiting = waiting_events(records, hook, key)
    taken, status = 0, 200
    while taken < len(waiting):
        batch = waiting[taken : taken + BATCH]
        body = _body(hook, batch)
        signed = signature(secret_of(hook, key), body, now=now)
        headers = {"Content-Type": "application/json", "X-Assay-Signature": signed}
        status = post(hook.url, body, headers)
        if not 200 <= status < 300:
            break
        records.put(
            Delivery(webhook=hook.name, events=tuple(event.id for event in batch), created_at=now), subject=hook.name
        )
        taken += len(batch)
    return Delivered(taken, len(waiting) - taken, status)


def _events(records: RecordStore, key: bytes) -> Iterator[Event]:
    def who(name: str) -> str:
        return pseudonym(name, key)

    for said in records.all(Judgement):
        person = who(said.annotator)
        yield Event(id=who(said.id), event="judgement", at=said.created_at, campaign=said.campaign, person=person)
    for moved in records.all(CampaignState):
        yield Event(id=who(moved.id), event="campaign", at=moved.created_at, campaign=moved.campaign, state=moved.state)
    for word in records.all(Consent):
        state = "refused" if word.is_refused else "given"
        fields = {"person": who(word.annotator), "purpose": word.purpose, "state": state}
        yield Event.model_validate({"id": who(word.id), "event": "consent", "at": word.created_at, **fields})
    for gone in records.all(Withdrawal):
        yield Event(id=who(gone.id), event="withdrawal", at=gone.created_at, person=who(gone.annotator))


def _body(hook: Webhook, events: Sequence[Event]) -> bytes:
    return canonical_json(
        {"webhook": hook.name, "events": [event.model_dump(mode="json", exclude_none=True) for event in events]}
    )
