"""Ethics review: a campaign is a draft until a second person has signed what people are put through, and what for.

States: `draft` (being written), `review` (a dossier waits for a signature), `open` (people judge), `closed` (for good).
The dossier is all that is signed: what is asked, the consent texts, the plan (risk, pay, retention), how many items and
people, and what that costs. Its identity is a hash over all of it, so whatever changes afterwards needs another
signature: new items or another scheme make a draft again, a changed consent text puts the campaign back into review.

The first draft of a workspace turns reviews on for it: campaigns that are opened later begin as drafts too. Signatures,
and the ledger that holds them, are `assay.governance.ethics`; this module knows states only.

Catches: a campaign that runs unsigned, or other than signed. Does not catch: harm that the plan does not name, pay that
is too low for where people live, and a retention period that nobody keeps: `assay feedback retention` has to be run.
"""

from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from assay.feedback.campaign import CampaignState, consent_texts, find_campaign, run_of, scheme_of, state_of
from assay.feedback.consent import TEXTS, ConsentText
from assay.feedback.declared import read_declared
from assay.feedback.schemes import Scheme
from assay.records.errors import InputError, explain
from assay.records.record import Record, Value, digest
from assay.storage import RecordStore
from assay.storage.leases import Leases


class Plan(Record):
    """What the people who run a campaign promise to those who judge."""

    kind: ClassVar[str] = "ethics_plan"
    risk: Literal["minimal", "more_than_minimal", "high"]
    """How much worse than an ordinary day judging may be; harmful content is more than minimal."""
    harms: str = Field(min_length=1, max_length=4000)
    """What may harm people, and what is done about it."""
    people: str = Field(min_length=1, max_length=4000)
    """Who judges, and how they are found."""
    minutes_an_item: float = Field(gt=0, le=240)
    pay_an_hour: float = Field(ge=0)
    """In `currency`; breaks and skipped items are paid. 0: volunteers or staff, as `people` says."""
    currency: str = Field(pattern="^[A-Z]{3}$")
    retention_days: int = Field(ge=1)
    """Days after closing until what people wrote is erased (`assay feedback retention`); names are deleted by whom
    `contact` says."""
    contact: str = Field(min_length=1, max_length=400)
    """Whom people may ask or complain to."""


class Dossier(Value):
    """All that is signed, in full."""

    campaign: str
    plan: Plan
    scheme: Scheme
    consent: tuple[ConsentText, ...]
    items: int
    people_an_item: int | None
    """None: everybody."""
    hours: float | None
    cost: float | None
    """Hours and pay for all answers that are asked for; None where everybody judges."""

    @property
    def id(self) -> str:
        """What a signature names: the hash of everything but the times at which records were made."""
        body = self.model_dump(mode="json", exclude={"plan": {"created_at"}, "scheme": {"created_at"}})
        return digest(body)


def read_plan(path: Path, *, now: datetime) -> Plan:
    """A plan from YAML or JSON. Raises InputError with every fault."""
    return read_declared(path, Plan, what="an ethics plan", created_at=now)


def dossier_of(leases: Leases, name: str, plan: Plan) -> Dossier:
    """The dossier of a campaign as it stands. Raises StorageError when there is no such campaign."""
    campaign = find_campaign(leases.records, name)
    run, items = run_of(campaign), leases.items(name)
    hours = None if run.overlap is None else items * run.overlap * plan.minutes_an_item / 60
    return Dossier(
        campaign=name,
        plan=plan,
        scheme=scheme_of(leases.records, campaign),
        consent=tuple(TEXTS.values()),
        items=items,
        people_an_item=run.overlap,
        hours=None if hours is None else round(hours, 2),
        cost=None if hours is None else round(hours * plan.pay_an_hour, 2),
    )


def submit(leases: Leases, name: str, plan: Plan, *, by: str, now: datetime) -> CampaignState:
    """Put a draft before a second person. Raises InputError unless it is one, or waits for its signature already."""
    before = _in_state(leases.records, name, "draft", "review")
    dossier = dossier_of(leases, name, plan)
    leases.records.put(plan, subject=name)
    return _enter(leases.records, before, "review", by=by, now=now, plan=plan.id, dossier=dossier.id)


def waiting(leases: Leases, name: str) -> tuple[CampaignState, Dossier]:
    """The submission that waits for a signature, with its dossier as it stands now.

    Raises InputError when none waits, or the campaign is no longer as it was submitted.
    """
    before = _in_state(leases.records, name, "review")
    dossier = dossier_of(leases, name, leases.records.get(Plan, before.plan or ""))
    if dossier.id != before.dossier:
        do = f"look at it, and submit it again with `assay feedback submit {name}`"
        got = f"{dossier.id[:12]}, for something has changed since"
        raise InputError(explain(expected=f"the dossier {(before.dossier or '')[:12]}", got=got, do=do))
    return before, dossier


def answer(leases: Leases, name: str, *, approves: bool, by: str, now: datetime) -> CampaignState:
    """Open a campaign whose dossier was signed, or make it a draft again. Raises InputError as `waiting` does."""
    before, dossier = waiting(leases, name)
    state: Literal["open", "draft"] = "open" if approves else "draft"
    return _enter(leases.records, before, state, by=by, now=now, plan=before.plan, dossier=dossier.id)


def close(records: RecordStore, name: str, *, by: str, now: datetime) -> CampaignState:
    """Close a campaign for good. Raises InputError when it is closed already."""
    find_campaign(records, name)
    before = records.latest(CampaignState, subject=name)
    if before is not None and before.state == "closed":
        raise InputError(explain(expected=f"campaign {name!r} not closed", got="closed", do="open another"))
    plan, dossier = (before.plan, before.dossier) if before else (None, None)
    state = CampaignState(
        campaign=name,
        state="closed",
        by=by,
        plan=plan,
        dossier=dossier,
        previous=before.id if before else None,
        created_at=now,
    )
    records.put(state, subject=name)
    return state


def _in_state(records: RecordStore, name: str, *states: str) -> CampaignState:
    find_campaign(records, name)
    before, now_in = records.latest(CampaignState, subject=name), state_of(records, name)
    if before is None or now_in not in states:
        do = "open a campaign as a draft with `assay feedback campaign NAME ITEMS --draft`"
        raise InputError(explain(expected=f"campaign {name!r} in state {' or '.join(states)}", got=now_in, do=do))
    return before


def _enter(
    records: RecordStore,
    before: CampaignState,
    state: Literal["draft", "review", "open"],
    *,
    by: str,
    now: datetime,
    plan: str | None,
    dossier: str,
) -> CampaignState:
    entered = CampaignState(
        campaign=before.campaign,
        state=state,
        by=by,
        plan=plan,
        dossier=dossier,
        texts=consent_texts(),
        previous=before.id,
        created_at=now,
    )
    records.put(entered, subject=before.campaign)
    return entered
