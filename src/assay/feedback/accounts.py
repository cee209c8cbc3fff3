"""Accounts: who may enter the annotation site and what for. Takes a name and a password, yields a role or a refusal.

While a workspace has no account, anybody may judge under the name they type; the first account closes that door.
Passwords are kept as scrypt hashes with a salt of their own.

Catches: a wrong password, an account that was closed, somebody in a campaign that is not theirs. Does not catch: a
password that two people share.
"""

import hmac
import re
import secrets
from collections.abc import Collection
from datetime import datetime
from hashlib import scrypt
from typing import ClassVar, Literal

from assay.feedback.formats.row import name_fault
from assay.records.errors import InputError, explain
from assay.records.record import Record
from assay.storage import RecordStore

Role = Literal["annotator", "reviewer", "manager", "auditor"]
Page = Literal["judge", "review", "quality", "trail"]

PAGES: dict[Role, frozenset[Page]] = {
    "annotator": frozenset({"judge"}),
    "reviewer": frozenset({"judge", "review"}),
    "manager": frozenset({"review", "quality"}),
    "auditor": frozenset({"review", "quality", "trail"}),
}
SHORTEST_PASSWORD = 12
_COST = {"n": 2**15, "r": 8, "p": 1}
_HASH = re.compile(r"scrypt\$(\d+)\$(\d+)\$(\d+)\$([0-9a-f]{32})\$([0-9a-f]{64})")


class Account(Record):
    """One person's entry to the site; the last record of a name counts. `campaigns` None: all of them."""

    kind: ClassVar[str] = "account"
    name: str
    role: Role
    password: str | None = None
    """scrypt hash; None: this person enters by a signed link only."""
    campaigns: tuple[str, ...] | None = None
    is_closed: bool = False
    previous: str | None = None


class LinkUse(Record):
    """A login link that was used; each works once."""

    kind: ClassVar[str] = "link_use"
    nonce: str


def open_account(
    records: RecordStore,
    name: str,
    role: Role,
    *,
    now: datetime,
    password: str | None = None,
    campaigns: Collection[str] | None = None,
    is_closed: bool = False,
) -> Account:
    """Store an account, or change one of this name. Raises InputError for a name or a password that will not do."""
    faults = [fault] if (fault := name_fault(name)) else []
    if password is not None and len(password) < SHORTEST_PASSWORD:
        faults.append(f"a password of {len(password)} characters, at least {SHORTEST_PASSWORD}")
    if faults:
        do = "choose another"
        raise InputError(explain(expected="an account that can be opened", got="; ".join(faults), do=do))
    before = find_account(records, name)
    account = Account(
        name=name,
        role=role,
        password=hash_password(password, salt=secrets.token_bytes(16)) if password is not None else None,
        campaigns=tuple(sorted(campaigns)) if campaigns is not None else None,
        is_closed=is_closed,
        previous=before.id if before else None,
        created_at=now,
    )
    records.put(account, subject=name)
    return account


def find_account(records: RecordStore, name: str) -> Account | None:
    """The account of a name, open or closed, or None."""
    return records.latest(Account, subject=name)


def is_open_to_all(records: RecordStore) -> bool:
    """Whether nobody needs an account because there is none."""
    return records.count(Account) == 0


def check_password(records: RecordStore, name: str, password: str) -> Account | None:
    """The open account of this name and password, or None; it takes as long for a name that does not exist."""
    account = find_account(records, name)
    stored = account.password if account is not None else None
    match = _HASH.fullmatch(stored or _NOBODY)
    if match is None:
        return None
    n, r, p, salt, wanted = match.groups()
    given = _scrypt(password, salt=bytes.fromhex(salt), n=int(n), r=int(r), p=int(p))
    is_right = hmac.compare_digest(given, bytes.fromhex(wanted)) and stored is not None
    return account if is_right and account is not None and not account.is_closed else None


def may(account: Account, page: Page, campaign: str | None = None) -> bool:
    """Whether an account may open a kind of page, of one campaign where given."""
    is_theirs = campaign is None or account.campaigns is None or campaign in account.campaigns
    return is_theirs and not account.is_closed and page in PAGES[account.role]


def use_link(records: RecordStore, nonce: str, *, now: datetime) -> bool:
    """Use a login link up; False where it was used before."""
    return records.put_all([(LinkUse(nonce=nonce, created_at=now), None, nonce)]) == 1


def hash_password(password: str, *, salt: bytes) -> str:
    """scrypt hash with its cost and salt."""
    key = _scrypt(password, salt=salt, **_COST)
    return f"scrypt${_COST['n']}${_COST['r']}${_COST['p']}${salt.hex()}${key.hex()}"


def _scrypt(password: str, *, salt: bytes, n: int, r: int, p: int) -> bytes:
    return scrypt(password.encode(), salt=salt, n=n, r=r, p=p, dklen=32, maxmem=256 * n * r)


_NOBODY = f"scrypt${_COST['n']}${_COST['r']}${_COST['p']}${'0' * 32}${'0' * 64}"
