"""Campaign: items under one name, asked by one scheme, so many people each. Takes items, yields a queue.

The record says how the campaign is run; which items it holds and who has them stands in the queue of `storage.leases`,
so that a campaign may hold a million. Checking items (`gold`) are in the same queue and belong to no split.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from assay.feedback.consent import TEXTS
from assay.feedback.folds import UNUSED, Folds, splits_of_prompts
from assay.feedback.schemes import Scheme, stored_scheme
from assay.records.conversation import prompt_id
from assay.records.errors import InputError, StorageError, explain
from assay.records.judgement import Choice, Item
from assay.records.record import Record, Value, digest
from assay.storage import RecordStore, SplitName
from assay.storage.leases import Leases, Stored, Work

_NAME = re.compile(r"\w[\w.-]{0,79}")


class Run(Value):
    """How a campaign is run; None leaves a part out."""

    overlap: int | None = Field(default=None, ge=1)
    """How many people judge each item, exactly; None: everybody."""
    extra_overlap: int | None = Field(default=None, ge=1)
    """How many more people an item gets, one by one, while those who judged it disagree."""
    gold_rate: float | None = Field(default=None, ge=0, le=0.5)
    """Share of turns on which a person gets a checking item, while there are any."""
    repeat_rate: float | None = Field(default=None, ge=0, le=0.5)
    """Share of turns on which a person gets an earlier item again, with the sides exchanged."""
    break_after_min: float | None = Field(default=None, gt=0)
    """Active minutes after which a break is proposed; None: 25."""
    daily_cap_min: float | None = Field(default=None, gt=0)
    """Active minutes a day after which no more items are given."""
    mix: bool | None = None
    """Whether the next item is one that differs from a person's last ones (`assay.feedback.mixing`)."""
    needs_review: bool | None = None
    """Whether nobody judges before a second person has signed (`assay.feedback.ethics`)."""


class Campaign(Record):
    """Items under one name. `splits` is filled only in campaigns that were opened before there were queues."""

    kind: ClassVar[str] = "campaign"
    name: str
    splits: dict[str, SplitName] = Field(default_factory=dict)
    folds: Folds
    scheme: str | None = None
    run: Run | None = None


State = Literal["draft", "review", "open", "closed"]


class CampaignState(Record):
    """Where a campaign stands in its ethics review; the last one counts (`assay.feedback.ethics` moves it)."""

    kind: ClassVar[str] = "campaign_state"
    campaign: str
    state: State
    by: str
    plan: str | None = None
    dossier: str | None = None
    """Hash of what was submitted or signed."""
    texts: str | None = None
    """Hash of the consent texts that belong to it."""
    previous: str | None = None


class Gold(Record):
    """The answer that is known to be right on one checking item."""

    kind: ClassVar[str] = "gold"
    campaign: str
    item: str
    choice: Choice


def open_campaign(
    records: RecordStore,
    name: str,
    items: Sequence[Item],
    *,
    now: datetime,
    folds: Folds | None = None,
    scheme: Scheme | None = None,
    run: Run | None = None,
    gold: Mapping[str, Choice] | None = None,
) -> Campaign:
    """Store items as a campaign; a campaign of this name that exists gains the new ones and may change its scheme.

    One that needs a review is a draft until it was signed. Once a workspace has had one, every campaign needs it, and
    again after each change.

    Raises InputError when the name is no label, there is nothing to judge, an item belongs to another campaign or has
    more completions than the scheme asks about, or the campaign is closed.
    """
    _check(name, items, scheme)
    folds = folds or Folds(held_out_annotators="none")
    gold = gold or {}
    by_prompt = splits_of_prompts(records, {item.prompt for item in items}, folds=folds)
    campaign = Campaign(name=name, folds=folds, scheme=scheme.id if scheme else None, run=run or Run(), created_at=now)
    checks = [
        (Gold(campaign=name, item=item, choice=choice, created_at=now), None, name) for item, choice in gold.items()
    ]
    schemes = [(scheme, None, name)] if scheme else []
    states = _drafted(records, campaign)
    records.put_all([*((item, None, name) for item in items), *checks, *schemes, (campaign, None, name), *states])
    works = [
        Work(item.id, UNUSED if is_check else by_prompt[prompt_id(item.prompt)].value, is_check, item.level)
        for item, is_check in ((item, item.id in gold) for item in items)
    ]
    Leases(records).add(name, works, wanted=campaign.run.overlap if campaign.run else None)
    return campaign


def find_campaign(records: RecordStore, name: str) -> Campaign:
    """The campaign of this name. Raises StorageError when there is none."""
    campaign = records.latest(Campaign, subject=name)
    if campaign is None:
        names = ", ".join(campaign_names(records)) or "none"
        do = f"open it with `assay feedback campaign {name} ITEMS.jsonl`"
        raise StorageError(explain(expected=f"a campaign {name!r}", got=f"these campaigns: {names}", do=do))
    return campaign


def run_of(campaign: Campaign) -> Run:
    """How a campaign is run."""
    return campaign.run or Run()


def scheme_of(records: RecordStore, campaign: Campaign) -> Scheme:
    """What a campaign asks."""
    return stored_scheme(records, campaign.scheme, now=campaign.created_at)


def state_of(records: RecordStore, name: str) -> State:
    """Where a campaign stands; `open` where there was never a review. Changed consent texts need another signature."""
    last = records.latest(CampaignState, subject=name)
    if last is None:
        return "open"
    return "review" if last.state == "open" and last.texts != consent_texts() else last.state


def consent_texts() -> str:
    """What stands for all consent texts of today."""
    return digest({purpose: text.version for purpose, text in TEXTS.items()})


def campaign_names(records: RecordStore) -> list[str]:
    """Names of all campaigns, in the order they were opened."""
    return list(dict.fromkeys(campaign.name for campaign in records.all(Campaign)))


def find_item(leases: Leases, campaign: str, item_id: str) -> Item:
    """One item of a campaign. Raises StorageError when the campaign has no such item."""
    if leases.split_of(campaign, item_id) is None:
        raise StorageError(explain(expected=f"an item of {campaign!r}", got="another one", do="reload the page"))
    return leases.records.get(Item, item_id)


def queue_of(records: RecordStore) -> Leases:
    """The queues of this store; campaigns from before there were queues are put into theirs."""
    leases = Leases(records)
    for name in campaign_names(records):
        for campaign in records.all(Campaign, subject=name):
            leases.add(name, [Work(item, split.value) for item, split in campaign.splits.items()], wanted=None)
    return leases


def _drafted(records: RecordStore, campaign: Campaign) -> list[Stored]:
    before = records.latest(CampaignState, subject=campaign.name)
    if before is not None and before.state == "closed":
        do = "open another under a new name"
        raise InputError(explain(expected=f"campaign {campaign.name!r} not closed", got="closed for good", do=do))
    if not run_of(campaign).needs_review and not records.count(CampaignState):
        return []
    previous = before.id if before else None
    fields = {"campaign": campaign.name, "state": "draft", "by": "", "previous": previous}
    return [(CampaignState.model_validate({**fields, "created_at": campaign.created_at}), None, campaign.name)]


def _check(name: str, items: Sequence[Item], scheme: Scheme | None) -> None:
    faults = [] if _NAME.fullmatch(name) else [f"the name {name!r}, not letters, digits, dots and dashes (at most 80)"]
    faults += [] if items else ["there are no items"]
    faults += [f"item {item.short_id} belongs to campaign {item.campaign!r}" for item in items if item.campaign != name]
    if scheme is None or scheme.task == "comparison":
        faults += [f"item {item.short_id} has more than two completions" for item in items if item.others]
    if faults:
        do = "mend the items file, or declare a ranking, and open the campaign again"
        raise InputError(explain(expected="a campaign that people can judge", got="; ".join(faults[:5]), do=do))
