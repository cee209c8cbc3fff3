"""Enrolment: who may approve and decide, by the public keys in the ledger. Takes a signing key, yields a person.

An `approver` approves change requests; an `owner` may do so too, and signs decisions. A name is enrolled once and a key
for one name: the first entry stands, so that a later one cannot take a name over.

Catches: a key used under a name it was not enrolled for, one key under two names, names that differ in case only.
Does not catch: one person who enrols two names with two keys. Who enrols whom is for people to watch in the ledger.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, get_args

from assay.governance.signing import SigningKey, check_name, is_signed, sign
from assay.records.errors import GovernanceError, explain
from assay.storage import Workspace
from assay.storage.ledger import Entry, LedgerValue

Role = Literal["approver", "owner"]

KEY_ENROLLED = "key_enrolled"


class Person(NamedTuple):
    """An enrolled name with its public key (hex) and role; `seq` is the ledger entry that says so."""

    name: str
    public_key: str
    role: Role
    seq: int


def enroll(workspace: Workspace, key: SigningKey, *, role: Role, now: datetime) -> Person:
    """Record a key under its name. Raises GovernanceError when the name or the key is enrolled already."""
    for person in people(workspace.ledger.entries()).values():
        if same_name(person.name, key.name) or person.public_key == key.public_key:
            got = f"{person.name!r} with key {person.public_key[:12]}, enrolled in entry {person.seq}"
            todo = "choose another name with a key of its own"
            raise GovernanceError(explain(expected=f"a new name and key for {key.name!r}", got=got, do=todo))
    statement: dict[str, LedgerValue] = {"name": check_name(key.name), "public_key": key.public_key, "role": role}
    signature = sign(key, KEY_ENROLLED, dict(statement))
    entry = workspace.ledger.append(KEY_ENROLLED, **statement, signature=signature, at=utc_text(now))
    return Person(key.name, key.public_key, role, entry.seq)


def people(entries: Sequence[Entry]) -> dict[str, Person]:
    """Enrolled people by name. Entries that are malformed, unsigned, or repeat a name or a key count for nothing."""
    found: dict[str, Person] = {}
    for entry in entries:
        fields = entry.value
        if fields.get("event") != KEY_ENROLLED:
            continue
        name, public_key, role = str(fields.get("name")), str(fields.get("public_key")), fields.get("role")
        statement: dict[str, object] = {"name": name, "public_key": public_key, "role": role}
        is_taken = any(same_name(one.name, name) or one.public_key == public_key for one in found.values())
        is_owned = is_signed(public_key, str(fields.get("signature")), purpose=KEY_ENROLLED, statement=statement)
        if role in get_args(Role) and is_owned and not is_taken:
            found[name] = Person(name, public_key, "owner" if role == "owner" else "approver", entry.seq)
    return found


def person_of(entries: Sequence[Entry], key: SigningKey) -> Person:
    """The person whom this key was enrolled for, under the key's own name. Raises GovernanceError otherwise."""
    person = people(entries).get(key.name)
    if person is None:
        todo = f"enrol them with `assay release enroll {key.name}`"
        raise GovernanceError(explain(expected="an enrolled person", got=f"{key.name!r}, not enrolled", do=todo))
    if person.public_key != key.public_key:
        expected = f"the key {person.public_key[:12]} that {person.name!r} was enrolled with"
        todo = "act under your own name, with your own key"
        raise GovernanceError(explain(expected=expected, got=f"key {key.public_key[:12]}", do=todo))
    return person


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same to a reader: case and surrounding space do not tell people apart."""
    return one.strip().casefold() == other.strip().casefold()


def utc_text(moment: datetime) -> str:
    """A time as the ledger keeps it: ISO 8601 text in UTC."""
    return moment.astimezone(UTC).isoformat()
