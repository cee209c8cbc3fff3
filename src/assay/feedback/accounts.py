"""Accounts: who may enter the annotation site and what for. Takes a name and a password, yields a role or a refusal.

While a workspace has no account, anybody may judge under the name they type; the first account closes that door.
Passwords are kept as argon2id hashes with a salt of their own (`assay.feedback.passwords`); a hash of before, scrypt,
is replaced when its person next enters. Records are only ever added: the new hash points at the account it is for.

Catches: a wrong password, an account that was closed, somebody in a campaign that is not theirs. Does not catch: a
password that two people share.
"""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import ClassVar, Literal

from assay.feedback.formats.row import name_fault
from assay.feedback.passwords import hash_password, is_outdated, is_right
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


class Account(Record):
    """One person's entry to the site; the last record of a name counts. `campaigns` None: all of them."""

    kind: ClassVar[str] = "account"
    name: str
    role: Role
    password: str | None = None
    """Hash; None: this person enters by a signed link only."""
    campaigns: tuple[str, ...] | None = None
    is_closed: bool = False
    previous: str | None = None


class NewHash(Record):
    """A newer hash of the password that an account has; it counts for that account record and no later one."""

    kind: ClassVar[str] = "new_hash"
    account: str
    password: str


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


def check_password(records: RecordStore, name: str, password: str, *, now: datetime) -> Account | None:
    """The open account of this name and password, or None; it takes as long for a name that does not exist.

    A right password whose hash is outdated gets a new one. It is a record of its own, so that a login at the same time
    as a change of the account undoes nothing of that change.
    """
    account = find_account(records, name)
    stored = _hash_of(records, account) if account is not None else None
    if not is_right(password, stored) or account is None or account.is_closed:
        return None
    if stored is not None and is_outdated(stored):
        hashed = hash_password(password, salt=secrets.token_bytes(16))
        records.put(NewHash(account=account.id, password=hashed, created_at=now), subject=account.id)
    return account


def may(account: Account, page: Page, campaign: str | None = None) -> bool:
    """Whether an account may open a kind of page, of one campaign where given."""
    is_theirs = campaign is None or account.campaigns is None or campaign in account.campaigns
    return is_theirs and not account.is_closed and page in PAGES[account.role]


def use_link(records: RecordStore, nonce: str, *, now: datetime) -> bool:
    """Use a login link up; False where it was used before."""
    return records.put_all([(LinkUse(nonce=nonce, created_at=now), None, nonce)]) == 1


def _hash_of(records: RecordStore, account: Account) -> str | None:
    newer = records.latest(NewHash, subject=account.id)
    return account.password if newer is None else newer.password
