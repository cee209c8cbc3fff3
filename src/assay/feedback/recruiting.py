"""Recruiting: people whom a panel provider sends. Takes the id that came with a link, yields a name and, later, a code.

A provider (Prolific, CloudResearch, SONA and others) opens a campaign's link with its own id of a person in a
parameter, and pays whoever brings back the completion code. The id is kept nowhere: an HMAC of it, under the key of the
workspace's pseudonyms, is the annotator's name. So the same id comes back to the same work, with the same word on
consent, in every campaign that recruits by that parameter; without the key nobody can tell who was who, and a new key
makes a new person of each id.

A participant has done enough after so many items, or when nothing is left for them; passes are no items, nor are
checks and repeats. Whoever was given the code keeps it, also when they undo their last answer, until they withdraw.

Catches: what is no id (a placeholder that was not filled in, markup, an e-mail address), and names typed in that look
like a participant's. Does not catch: ids that somebody makes up, and somebody who knows another person's id, since
every participant holds the link; a code that was passed on. The provider knows whom it sent: compare by `Completion`.
"""

import re
from datetime import datetime
from typing import ClassVar
from urllib.parse import quote, urlsplit

from assay.feedback.assignment import Progress
from assay.feedback.campaign import find_campaign
from assay.feedback.pseudonyms import pseudonym
from assay.records.consent import Withdrawal
from assay.records.errors import InputError, explain
from assay.records.record import Record
from assay.storage import RecordStore
from assay.storage.leases import Leases

PROLIFIC = "PROLIFIC_PID"
PROLIFIC_URL = "https://app.prolific.com/submissions/complete?cc={code}"

_PARAMETER = re.compile(r"(?!key\b)[A-Za-z][A-Za-z0-9_-]{0,39}")
_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NAME = re.compile(r"r-[0-9a-f]{16}")


class Recruitment(Record):
    """How a campaign recruits by one parameter; the last record of both counts."""

    kind: ClassVar[str] = "recruitment"
    campaign: str
    parameter: str
    code: str
    items: int
    url: str | None = None
    """Where the code leads back to, with `{code}` in its place; None: the page shows the code alone."""
    is_closed: bool = False
    """Nobody new comes in; those who have begun may finish."""
    previous: str | None = None

    @property
    def return_address(self) -> str | None:
        """The address that takes a participant back with the code."""
        return None if self.url is None else self.url.replace("{code}", quote(self.code, safe=""))


class Completion(Record):
    """A participant was given the code; `after` is their last withdrawal until then."""

    kind: ClassVar[str] = "completion"
    annotator: str
    campaign: str
    recruitment: str
    after: str | None = None


def recruit(
    records: RecordStore,
    campaign: str,
    *,
    code: str,
    items: int,
    now: datetime,
    parameter: str = PROLIFIC,
    url: str | None = None,
) -> Recruitment:
    """Store how a campaign recruits; the same again stores nothing. Prolific's own address is known by its parameter.

    Raises StorageError when there is no such campaign, and InputError with everything that will not do.
    """
    find_campaign(records, campaign)
    url = PROLIFIC_URL if url is None and parameter == PROLIFIC else url
    faults = [] if _CODE.fullmatch(code) else [f"the code {code!r}, not 1 to 64 letters, digits, - and _"]
    faults += [] if items >= 1 else [f"{items} items, at least 1"]
    faults += [] if _PARAMETER.fullmatch(parameter) else [f"the parameter {parameter!r}, not a plain word but `key`"]
    faults += [f"the address {url!r}: {fault}"] if url is not None and (fault := _url_fault(url)) else []
    if faults:
        do = "mend that and recruit again"
        raise InputError(explain(expected="a recruitment that a provider can use", got="; ".join(faults), do=do))
    fields = {"campaign": campaign, "parameter": parameter, "code": code, "items": items, "url": url}
    return _store(records, Recruitment.model_validate({**fields, "created_at": now}))


def close_recruitment(records: RecordStore, campaign: str, parameter: str, *, now: datetime) -> Recruitment:
    """Let nobody new in by the link of this parameter. Raises InputError where the campaign does not recruit by it."""
    found = find_recruitment(records, campaign, parameter)
    if found is None:
        do = f"recruit first, with `assay feedback recruit {campaign} --code CODE --parameter {parameter}`"
        raise InputError(explain(expected=f"a recruitment of {campaign!r} by {parameter}", got="none", do=do))
    return _store(records, found.model_copy(update={"is_closed": True, "created_at": now}))


def find_recruitment(records: RecordStore, campaign: str, parameter: str) -> Recruitment | None:
    """How a campaign recruits by a parameter, or None."""
    return records.latest(Recruitment, subject=f"{campaign} {parameter}")


def participant_name(parameter: str, identity: str, key: bytes) -> str:
    """The name of whoever has this id: `r-` and sixteen hex digits. Raises InputError for what is no id."""
    if not _ID.fullmatch(identity):
        do = "open the study from the provider's page again"
        got = "none, or other characters than letters, digits, . - and _"
        raise InputError(explain(expected=f"an id of 1 to 64 characters as {parameter}", got=got, do=do))
    return "r-" + pseudonym(f"participant\n{parameter}\n{identity}", key).removeprefix("p-")


def is_participant(name: str) -> bool:
    """Whether a name has the form of a participant's, so that nobody may type it in."""
    return _NAME.fullmatch(name) is not None


def share_of(come: Progress, recruitment: Recruitment) -> Progress:
    """How far a participant has come in their own share of the items."""
    return Progress(min(come.judged, recruitment.items), min(come.total, recruitment.items))


def has_enough(leases: Leases, recruitment: Recruitment, annotator: str) -> bool:
    """Whether a participant gets no further item. What is in their hands, as after an undo, comes first."""
    if leases.held(recruitment.campaign, annotator):
        return False
    finished = leases.standing(recruitment.campaign, annotator).finished
    return finished >= recruitment.items or was_given_code(leases.records, recruitment.campaign, annotator)


def is_beyond(leases: Leases, recruitment: Recruitment, annotator: str, item: str) -> bool:
    """Whether an item is one more than a participant's share, and they never had it."""
    campaign = recruitment.campaign
    is_full = leases.standing(campaign, annotator).finished >= recruitment.items
    return is_full and leases.find(campaign, annotator, item) is None


def give_code(records: RecordStore, recruitment: Recruitment, annotator: str, *, now: datetime) -> str:
    """The code for a participant who has done enough; that they got it is stored once."""
    if not was_given_code(records, recruitment.campaign, annotator):
        completion = Completion(
            annotator=annotator,
            campaign=recruitment.campaign,
            recruitment=recruitment.id,
            after=_withdrawn(records, annotator),
            created_at=now,
        )
        records.put(completion, subject=annotator)
    return recruitment.code


def was_given_code(records: RecordStore, campaign: str, annotator: str) -> bool:
    """Whether a participant was given the code since they last withdrew."""
    after = _withdrawn(records, annotator)
    return any(one.campaign == campaign and one.after == after for one in records.all(Completion, subject=annotator))


def _store(records: RecordStore, recruitment: Recruitment) -> Recruitment:
    before = find_recruitment(records, recruitment.campaign, recruitment.parameter)
    if before is not None:
        recruitment = recruitment.model_copy(update={"previous": before.previous})
        if recruitment.id == before.id:
            return before
        recruitment = recruitment.model_copy(update={"previous": before.id})
    records.put(recruitment, subject=f"{recruitment.campaign} {recruitment.parameter}")
    return recruitment


def _withdrawn(records: RecordStore, annotator: str) -> str | None:
    last = records.latest(Withdrawal, subject=annotator)
    return last.id if last else None


def _url_fault(url: str) -> str | None:
    """What is wrong with an address to go back to, or None."""
    bare = url.replace("{code}", "")
    if not url.isascii() or not url.isprintable() or " " in url:
        return "spaces or characters that no address has"
    if "{" in bare or "}" in bare:
        return "{code} is the only place that is filled in"
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "no address"
    if parts.scheme != "https" or not host or "{" in parts.netloc or "@" in parts.netloc:
        return "not https with a host"
    return None
