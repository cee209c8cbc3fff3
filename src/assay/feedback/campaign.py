"""Campaign: items that people judge one by one. Takes answers as shown, yields judgements in canonical order.

Append-only: an answer given again supersedes the one before, and an undo is a judgement that says nothing
(`cannot_judge`, source `withdrawn`) and supersedes what it takes back.
"""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import ClassVar, Literal, NamedTuple

from assay.feedback.consent import consent_version
from assay.feedback.folds import AnnotatorFold, Folds, place, side_of_newcomer, splits_of_prompts
from assay.feedback.formats.row import name_fault
from assay.records.conversation import prompt_id
from assay.records.errors import InputError, StorageError, explain
from assay.records.judgement import Choice, Item, Judgement, Side
from assay.records.record import Record
from assay.storage import RecordStore, SplitName

Answer = Literal["left", "right", "tie", "both_bad", "cannot_judge"]

WITHDRAWN = "withdrawn"
SECONDS_A_WORD = 1.0
SECONDS_A_PAIR = 60.0
_NAME = re.compile(r"\w[\w.-]{0,79}")


class Campaign(Record):
    """Items under one name; `splits` gives the split of each by identity, in the order they came."""

    kind: ClassVar[str] = "campaign"
    name: str
    splits: dict[str, SplitName]
    folds: Folds


class Progress(NamedTuple):
    """How many items of a campaign a person has judged, of how many."""

    judged: int
    total: int


def open_campaign(
    records: RecordStore, name: str, items: Sequence[Item], *, now: datetime, folds: Folds | None = None
) -> Campaign:
    """Store items as a campaign; a campaign of this name that exists gains the new ones.

    Raises InputError when the name is no label, there is nothing to judge or an item belongs to another campaign.
    """
    faults = [] if _NAME.fullmatch(name) else [f"the name {name!r}, not letters, digits, dots and dashes (at most 80)"]
    faults += [] if items else ["there are no items"]
    faults += [f"item {item.short_id} belongs to campaign {item.campaign!r}" for item in items if item.campaign != name]
    if faults:
        do = "mend the items file and open the campaign again"
        raise InputError(explain(expected="a campaign that people can judge", got="; ".join(faults[:5]), do=do))
    folds = folds or Folds(held_out_annotators="none")
    by_prompt = splits_of_prompts(records, {item.prompt for item in items}, folds=folds)
    before = records.latest(Campaign, subject=name)
    splits = dict(before.splits) if before else {}
    splits |= {item.id: by_prompt[prompt_id(item.prompt)] for item in items if item.id not in splits}
    campaign = Campaign(name=name, splits=splits, folds=folds, created_at=now)
    records.put_all([*((item, None, name) for item in items), (campaign, None, name)])
    return campaign


def find_campaign(records: RecordStore, name: str) -> Campaign:
    """The campaign of this name. Raises StorageError when there is none."""
    campaign = records.latest(Campaign, subject=name)
    if campaign is None:
        names = ", ".join(campaign_names(records)) or "none"
        do = f"open it with `assay feedback campaign {name} ITEMS.jsonl`"
        raise StorageError(explain(expected=f"a campaign {name!r}", got=f"these campaigns: {names}", do=do))
    return campaign


def campaign_names(records: RecordStore) -> list[str]:
    """Names of all campaigns, in the order they were opened."""
    return list(dict.fromkeys(campaign.name for campaign in records.all(Campaign)))


def find_item(records: RecordStore, campaign: str, item_id: str) -> Item:
    """One item of a campaign. Raises StorageError when the campaign has no such item."""
    item = records.get(Item, item_id)
    if item.campaign != campaign:
        do = "reload the page"
        raise StorageError(explain(expected=f"an item of {campaign!r}", got=f"one of {item.campaign!r}", do=do))
    return item


def next_item(records: RecordStore, campaign: str, annotator: str) -> Item | None:
    """The first item that this person has not judged, or None. The order differs by person and never changes.

    An item that was undone comes back before all others that still wait.
    """
    judged = {item_id(judgement) for judgement in _answers(records, campaign, annotator)}
    waiting = find_campaign(records, campaign).splits.keys() - judged
    first = min(waiting, key=lambda waits: _hash(annotator, waits, "order"), default=None)
    return None if first is None else records.get(Item, first)


def progress(records: RecordStore, campaign: str, annotator: str) -> Progress:
    """How far this person has come."""
    items = find_campaign(records, campaign).splits.keys()
    return Progress(len(items & {item_id(answer) for answer in _answers(records, campaign, annotator)}), len(items))


def item_id(judgement: Judgement) -> str:
    """Identity of the item that a judgement speaks of; an item's identity is its content."""
    fields = judgement.model_dump(include={"campaign", "prompt", "first", "second", "created_at"})
    return Item.model_validate(fields).id


def shown_order(annotator: str, item_id: str) -> Side:
    """The side on which `first` stands for this person: the same at every visit, left as often as right over many."""
    return "left" if _hash(annotator, item_id, "side")[0] & 1 else "right"


def record_answer(
    records: RecordStore,
    item: Item,
    annotator: str,
    answer: Answer,
    *,
    now: datetime,
    time_on_task_s: float | None = None,
) -> Judgement:
    """Store what a person said of the pair as it stood on the screen; the same answer twice is stored once.

    Raises InputError when the label is not one, or the person has not agreed to the current consent text.
    """
    consent = consent_version(records, annotator, "train")
    fault = name_fault(annotator) or ("no consent to the current text" if consent is None else None)
    if fault:
        do = "ask for a name and for consent before the first item"
        raise InputError(explain(expected="an annotator who agreed to take part", got=f"{annotator!r}: {fault}", do=do))
    first_shown = shown_order(annotator, item.id)
    choice = canonical_choice(answer, first_shown)
    before = next((j for j in _current(records, item.campaign, annotator) if item_id(j) == item.id), None)
    if before is not None and before.source != WITHDRAWN and before.choice == choice:
        return before
    judgement = Judgement(
        campaign=item.campaign,
        annotator=annotator,
        prompt=item.prompt,
        first=item.first,
        second=item.second,
        choice=choice,
        first_shown=first_shown,
        consent_version=consent,
        time_on_task_s=credible_time_s(time_on_task_s, item),
        supersedes=before.id if before else None,
        created_at=now,
    )
    _store(records, judgement, item.id)
    return judgement


def undo_last(records: RecordStore, campaign: str, annotator: str, *, now: datetime) -> Judgement | None:
    """Take back this person's last standing answer and return it; its item comes next again. None: nothing to undo."""
    items = find_campaign(records, campaign).splits
    answers = [answer for answer in _answers(records, campaign, annotator) if item_id(answer) in items]
    if not answers:
        return None
    last = answers[-1]
    fields = last.model_dump() | {
        "choice": "cannot_judge",
        "attributes": {},
        "critiques": (),
        "time_on_task_s": None,
        "supersedes": last.id,
        "source": WITHDRAWN,
        "created_at": now,
    }
    _store(records, Judgement.model_validate(fields), item_id(last))
    return last


def current_judgements(judgements: Iterable[Judgement]) -> list[Judgement]:
    """Those that still stand: not superseded by another of them, and not an undo."""
    return [judgement for judgement in _standing(judgements) if judgement.source != WITHDRAWN]


def canonical_choice(answer: Answer, first_shown: Side) -> Choice:
    """What an answer on the screen says of the canonical order."""
    if answer == "left" or answer == "right":
        return "first" if answer == first_shown else "second"
    return answer


def credible_time_s(seconds: float | None, item: Item) -> float | None:
    """Time that a page measured, cut at a minute and a second a word; None where it is no time at all."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return None
    texts = [*(message.content for message in item.prompt), item.first, item.second]
    words = sum(len(text.split()) for text in texts)
    return round(min(seconds, SECONDS_A_PAIR + SECONDS_A_WORD * words), 1)


def _standing(judgements: Iterable[Judgement]) -> list[Judgement]:
    given = list(judgements)
    superseded = {judgement.supersedes for judgement in given}
    return [judgement for judgement in given if judgement.id not in superseded]


def _current(records: RecordStore, campaign: str, annotator: str) -> list[Judgement]:
    return _standing(j for j in records.all(Judgement, subject=annotator) if j.campaign == campaign)


def _answers(records: RecordStore, campaign: str, annotator: str) -> list[Judgement]:
    return [judgement for judgement in _current(records, campaign, annotator) if judgement.source != WITHDRAWN]


def _store(records: RecordStore, judgement: Judgement, item: str) -> None:
    campaign = find_campaign(records, judgement.campaign)
    panel = side_of_newcomer(records, judgement.annotator, folds=campaign.folds)
    sides = [
        (AnnotatorFold(annotator=name, is_held_out=is_held_out, created_at=judgement.created_at), None, name)
        for name, is_held_out in panel.new.items()
    ]
    split = place(campaign.splits[item], panel.is_held_out(judgement.annotator))
    records.put_all([*sides, (judgement, split, judgement.annotator)])


def _hash(annotator: str, item_id: str, purpose: str) -> bytes:
    return sha256("\x00".join([purpose, annotator, item_id]).encode()).digest()
