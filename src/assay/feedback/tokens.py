"""Tokens: keys by which programs read what people said, each for one purpose. Takes a name, yields a token once.

Of a token only its hash is kept (SHA-256 of 32 random bytes needs no slow hash): it is shown once and cannot be found
again. A token reads under pseudonyms only.

Catches: a made-up token, one that ran out or was closed, another purpose or campaign than its own. Does not catch: a
token that somebody passed on.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar, NamedTuple

from assay.feedback.formats.row import name_fault
from assay.records.consent import Purpose
from assay.records.errors import InputError, explain
from assay.records.record import Record, UtcTime
from assay.storage import RecordStore

PREFIX = "assay_"


class Token(Record):
    """One key; the last record of its hash counts. `campaigns` None: all of them."""

    kind: ClassVar[str] = "token"
    name: str
    hash: str
    purpose: Purpose
    campaigns: tuple[str, ...] | None = None
    expires_at: UtcTime
    is_closed: bool = False
    previous: str | None = None


class Made(NamedTuple):
    """A token as its owner gets it, and its record."""

    secret: str
    token: Token


def make_token(
    records: RecordStore,
    name: str,
    *,
    purpose: Purpose,
    random: bytes,
    now: datetime,
    days: float,
    campaigns: Collection[str] | None = None,
) -> Made:
    """Store a token. `random` is 32 bytes or more from a source that nobody can guess.

    Raises InputError with everything that is wrong.
    """
    faults = [fault] if (fault := name_fault(name)) else []
    faults += [] if days > 0 else [f"a life of {days:g} days"]
    faults += [] if len(random) >= 32 else [f"{len(random)} random bytes, at least 32"]
    if faults:
        raise InputError(explain(expected="a token that can be made", got="; ".join(faults), do="mend that"))
    secret = PREFIX + random.hex()
    token = Token(
        name=name,
        hash=_hash(secret),
        purpose=purpose,
        campaigns=None if campaigns is None else tuple(sorted(campaigns)),
        expires_at=now + timedelta(days=days),
        created_at=now,
    )
    records.put(token, subject=token.hash)
    return Made(secret, token)


def close_tokens(records: RecordStore, name: str, *, now: datetime) -> int:
    """Close every token of a name; returns how many were open."""
    last = {one.hash: one for one in records.all(Token) if one.name == name}
    found = [one for one in last.values() if not one.is_closed]
    closed = [one.model_copy(update={"is_closed": True, "previous": one.id, "created_at": now}) for one in found]
    records.put_all([(one, None, one.hash) for one in closed])
    return len(closed)


def find_token(records: RecordStore, secret: str, *, now: datetime) -> Token | None:
    """The token that opens now, or None."""
    token = records.latest(Token, subject=_hash(secret)) if secret.startswith(PREFIX) else None
    return None if token is None or token.is_closed or now >= token.expires_at else token


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
