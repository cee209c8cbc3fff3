"""Ethics signatures: who put a campaign before whom, and who signed its dossier. Takes hashes and keys, yields names.

A dossier is known here by its hash alone. What is in the ledger counts, each signature checked against the key that was
enrolled for its name; a record that says otherwise counts for nothing.

Catches: a signature by the person who submitted, by nobody enrolled, over another dossier, or without its submission.
Does not catch: people who sign unread, and somebody who submits under another person's name (submissions are unsigned).
"""

from collections.abc import Sequence
from datetime import datetime

from assay.governance.enrolment import people, person_of, same_name, utc_text
from assay.governance.history import verified_entries
from assay.governance.signing import SigningKey, check_name, is_signed, sign
from assay.records.errors import GovernanceError, explain
from assay.storage import Workspace
from assay.storage.ledger import Entry

SUBMITTED = "campaign_submitted"
SIGNED = "campaign_signed"
CLOSED = "campaign_closed"
ERASED = "words_erased"


def record_submission(workspace: Workspace, campaign: str, dossier: str, *, by: str, now: datetime) -> Entry:
    """Put a submission into the ledger. Raises GovernanceError for a name that is none, or a broken ledger."""
    verified_entries(workspace)
    return workspace.ledger.append(SUBMITTED, campaign=campaign, dossier=dossier, by=check_name(by), at=utc_text(now))


def record_closing(workspace: Workspace, campaign: str, *, by: str, now: datetime) -> Entry:
    """Put into the ledger that a campaign takes no more answers."""
    return workspace.ledger.append(CLOSED, campaign=campaign, by=check_name(by), at=utc_text(now))


def record_erasure(workspace: Workspace, erasure: str, *, records: int, why: str, by: str, now: datetime) -> bool:
    """Put into the ledger that something was erased, by the identity of its record and no name of whose it was.

    False where it stands there already.
    """
    if any(entry.value.get("erasure") == erasure for entry in verified_entries(workspace)):
        return False
    workspace.ledger.append(ERASED, erasure=erasure, records=records, why=why, by=check_name(by), at=utc_text(now))
    return True


def sign_dossier(
    workspace: Workspace,
    campaign: str,
    dossier: str,
    *,
    key: SigningKey,
    comment: str,
    approves: bool,
    now: datetime,
) -> Entry:
    """A second person's signed yes or no. Raises GovernanceError, with all that is wrong, otherwise."""
    entries = verified_entries(workspace)
    person = person_of(entries, key)
    submitted = _of(entries, SUBMITTED, campaign, dossier)
    faults = [] if submitted else [f"dossier {dossier[:12]} was never submitted"]
    if any(same_name(person.name, str(entry.value.get("by"))) for entry in submitted):
        faults.append(f"{person.name!r} submitted it; another person must sign")
    if not comment.strip():
        faults.append("no word on what was looked at")
    if faults:
        do = "mend that, and sign again"
        raise GovernanceError(
            explain(expected=f"a dossier that {person.name!r} may sign", got="; ".join(faults), do=do)
        )
    return workspace.ledger.append(
        SIGNED,
        campaign=campaign,
        dossier=dossier,
        by=person.name,
        approves=approves,
        comment=comment,
        signature=sign(key, SIGNED, _statement(campaign, dossier, approves, comment)),
        at=utc_text(now),
    )


def signer_of(workspace: Workspace, campaign: str, dossier: str) -> str | None:
    """Who signed a dossier with a yes that verifies and that no later no takes back; None where nobody did."""
    entries = verified_entries(workspace)
    submitters = [str(entry.value.get("by")) for entry in _of(entries, SUBMITTED, campaign, dossier)]
    signer = None
    for entry in _of(entries, SIGNED, campaign, dossier):
        name, approves = str(entry.value.get("by")), entry.value.get("approves") is True
        person = people(entries[: entry.seq]).get(name)
        statement = _statement(campaign, dossier, approves, str(entry.value.get("comment")))
        signature = str(entry.value.get("signature"))
        is_theirs = person is not None and is_signed(person.public_key, signature, purpose=SIGNED, statement=statement)
        if is_theirs and not any(same_name(name, other) for other in submitters):
            signer = name if approves else None
    return signer


def _statement(campaign: str, dossier: str, approves: bool, comment: str) -> dict[str, object]:
    return {"campaign": campaign, "dossier": dossier, "approves": approves, "comment": comment}


def _of(entries: Sequence[Entry], event: str, campaign: str, dossier: str) -> list[Entry]:
    """Entries of one event on one dossier of one campaign, in order."""
    wanted = {"event": event, "campaign": campaign, "dossier": dossier}
    return [entry for entry in entries if wanted.items() <= entry.value.items()]
