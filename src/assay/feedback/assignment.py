"""Assignment: which item a person gets next, and what becomes of it: answered, passed over, or taken back.

Takes a queue of leases, a person and a clock. At declared rates a turn goes to a checking item or to a repeat of an
earlier one with the sides exchanged; which turns is fixed by hash, so nobody sees it coming and a reload changes
nothing. Where the campaign has a panel or mixes, one of the next few comes first (`ahead`). Items above what a person
wants to see never come, whichever way (`comfort`). Checking answers are stored in the split `unused`: they tell of
people and never train.
"""

from collections import Counter
from datetime import datetime
from hashlib import sha256
from typing import ClassVar, Literal, NamedTuple

from assay.feedback.ahead import chosen_ahead
from assay.feedback.answering import (
    Answered,
    Asked,
    Purpose,
    Said,
    answer_records,
    same_answer,
    withdrawal_of,
)
from assay.feedback.campaign import Campaign, run_of, scheme_of
from assay.feedback.comfort import limit_of
from assay.feedback.consent import agreed_version
from assay.feedback.folds import UNUSED, AnnotatorFold, place, side_of_newcomer
from assay.feedback.formats.row import name_fault
from assay.feedback.profiles import settings_of
from assay.records.errors import InputError, StorageError, explain
from assay.records.judgement import Item, Judgement, Ranking
from assay.records.record import Record
from assay.storage import SplitName
from assay.storage.leases import LEASE_TIME, Lease, Leases, Stored

REPEAT_AFTER = 10
DISSENT = 2 / 3
"""Below this share of the answers on an item for one choice people disagree."""
LONGEST_NOTE = 2000

PassReason = Literal["too_long", "not_my_field", "language", "upsetting", "broken", "personal_data", "other", "undone"]


class Pass(Record):
    """A person did not judge an item, and why; a flag asks a reviewer to look at it. `undone` takes a pass back."""

    kind: ClassVar[str] = "pass"
    personal: ClassVar[tuple[str, ...]] = ("note",)
    campaign: str
    annotator: str
    item: str
    reason: PassReason
    note: str = ""
    is_flag: bool = False
    supersedes: str | None = None

    @property
    def seal_scope(self) -> str:
        """The campaign."""
        return self.campaign


class Turn(NamedTuple):
    """An item in front of a person, with its lease."""

    lease: Lease
    item: Item


class Progress(NamedTuple):
    """How many items of a campaign a person has judged, of how many that are there for them."""

    judged: int
    total: int


def next_turn(leases: Leases, campaign: Campaign, annotator: str, *, now: datetime, ahead: int = 0) -> Turn | None:
    """What this person has in hand, or else the next item; None when nothing is left. `ahead` 1 is the one after it.

    A look at an item renews its lease. An item that was undone comes before all others. What this person would rather
    not see is given back.
    """
    limit = limit_of(leases.records, annotator)
    if limit is not None:
        leases.release_above(campaign.name, annotator, limit=limit)
    held = leases.held(campaign.name, annotator)
    found = len(held)
    while len(held) <= ahead:
        taken = _take(leases, campaign, annotator, limit=limit, now=now)
        if taken is None:
            return None
        held.append(taken)
    lease = held[ahead]
    is_lost = ahead < found and not leases.renew(lease, now=now)
    if is_lost or limit_of(leases.records, annotator) != limit:  # a word that came meanwhile counts
        return next_turn(leases, campaign, annotator, now=now, ahead=ahead)
    return Turn(lease, leases.records.get(Item, lease.item))


def progress(leases: Leases, campaign: str, annotator: str) -> Progress:
    """How far this person has come; checks, repeats and what they would rather not see are not counted."""
    standing = leases.standing(campaign, annotator, limit=limit_of(leases.records, annotator))
    return Progress(standing.finished, standing.total)


def record_answer(
    leases: Leases,
    campaign: Campaign,
    annotator: str,
    item: Item,
    said: Said,
    *,
    now: datetime,
    round: int = 0,  # noqa: A002
) -> Answered:
    """Store what a person said of an item as it stood on the screen; the same answer twice is stored once.

    Raises InputError when the answer is not whole or the person has not agreed to the current consent text, and
    StorageError when the item has gone to somebody else meanwhile.
    """
    consent = _checked_consent(leases, annotator)
    lease = leases.find(campaign.name, annotator, item.id, round=round)
    if lease is None and round == 0:
        lease = leases.take(campaign.name, annotator, now=now, item=item.id)
    if lease is None or lease.state == "skipped":
        do = "go on with the next one; nothing of yours was counted"
        raise StorageError(explain(expected="an item of yours", got="one that others have judged meanwhile", do=do))
    split = leases.split_of(campaign.name, item.id) or UNUSED
    purpose: Purpose | None = "repeat" if round else "gold" if split == UNUSED else None
    wanted = settings_of(leases.records, annotator)
    asked = Asked(
        item,
        annotator,
        scheme_of(leases.records, campaign),
        round,
        consent,
        lease.answer,
        purpose,
        profile=wanted.version if wanted else None,
    )
    answered = answer_records(asked, said, now=now)
    before = _answer_of(leases, lease) if lease.state == "answered" else None
    if before is not None and same_answer(before, answered[0]):
        return before
    if lease.answer is None and leases.is_known(answered[0].kind, answered[0].id):
        asked = asked._replace(supersedes=_tail(leases, answered[0]))
        answered = answer_records(asked, said, now=now)
    gone = [] if before is None else _pair_withdrawals(leases, before, now=now)
    rows = _rows(leases, campaign, annotator, [*gone, *answered], split=split, is_check=purpose is not None)
    if not leases.finish(lease, "answered", answer=answered[0].id, rows=rows):
        if leases.find(campaign.name, annotator, item.id, round=round) not in (None, lease):  # another tab was faster
            return record_answer(leases, campaign, annotator, item, said, now=now, round=round)
        do = "reload the page and answer again"
        raise StorageError(explain(expected="to store the answer", got="an item that was given back", do=do))
    _route(leases, campaign, item.id)
    return answered[0]


def pass_over(
    leases: Leases, lease: Lease, *, reason: PassReason, note: str = "", is_flag: bool = False, now: datetime
) -> Pass | None:
    """Skip an item, with a reason; a flag also asks a reviewer to look. None where this person does not hold it."""
    before = leases.records.latest(Pass, subject=lease.annotator)
    passed = Pass(
        campaign=lease.queue,
        annotator=lease.annotator,
        item=lease.item,
        reason=reason,
        note=note.strip()[:LONGEST_NOTE],
        is_flag=is_flag,
        supersedes=before.id if before and before.item == lease.item else None,
        created_at=now,
    )
    done = leases.finish(lease, "skipped", answer=passed.id, rows=[(passed, None, lease.annotator)])
    return passed if done else None


def undo_last(leases: Leases, campaign: Campaign, annotator: str, *, now: datetime) -> Answered | Pass | None:
    """Take back what this person did last, answer or pass, and return it; its item comes next again.

    An item that they would rather not see by now is given back instead. None: there is nothing to undo, or what was
    passed over has been filled by others or is nothing that the person wants to see.
    """
    lease = leases.last_finished(campaign.name, annotator)
    if lease is None or lease.answer is None:
        return None
    limit = limit_of(leases.records, annotator)
    is_unwanted = limit is not None and leases.records.get(Item, lease.item).level > limit
    if lease.state == "skipped":
        if is_unwanted:
            return None
        passed = leases.records.get(Pass, lease.answer)
        fields = {"reason": "undone", "supersedes": passed.id, "note": "", "is_flag": False, "created_at": now}
        undone: list[Stored] = [(passed.model_copy(update=fields), None, annotator)]
        return passed if leases.reopen(lease, answer=None, rows=undone, until=now + LEASE_TIME) else None
    last = _answer_of(leases, lease)
    withdrawal = withdrawal_of(last, now=now)
    split = leases.split_of(campaign.name, lease.item) or UNUSED
    is_check = bool(lease.round) or split == UNUSED
    records = [withdrawal, *_pair_withdrawals(leases, last, now=now)]
    rows = _rows(leases, campaign, annotator, records, split=split, is_check=is_check)
    if not leases.reopen(lease, answer=withdrawal.id, rows=rows, until=now + LEASE_TIME):
        return None
    if limit is not None:
        leases.release_above(campaign.name, annotator, limit=limit)
    return last


def step_away(leases: Leases, campaign: str, annotator: str) -> int:
    """Give back all that this person holds, so that others need not wait; returns how many items."""
    return leases.release(campaign, annotator)


def standing_passes(passes: list[Pass]) -> list[Pass]:
    """Those that were not taken back."""
    superseded = {one.supersedes for one in passes}
    return [one for one in passes if one.id not in superseded and one.reason != "undone"]


def _take(leases: Leases, campaign: Campaign, annotator: str, *, limit: int | None, now: datetime) -> Lease | None:
    run, name = run_of(campaign), campaign.name
    gold, repeat = run.gold_rate or 0.0, run.repeat_rate or 0.0
    point = _point(name, annotator, leases.turns(name, annotator) + 1) if gold or repeat else 1.0
    given = None
    if point < gold:
        given = leases.take(name, annotator, now=now, is_check=True, limit=limit)
    elif point < gold + repeat:
        given = leases.repeat(name, annotator, after=REPEAT_AFTER, now=now, limit=limit)
    if given is None and (item := chosen_ahead(leases, campaign, annotator, limit=limit)) is not None:
        given = leases.take(name, annotator, now=now, item=item)
    return given or leases.take(name, annotator, now=now, limit=limit)


def _rows(
    leases: Leases, campaign: Campaign, annotator: str, answered: list[Answered], *, split: str, is_check: bool
) -> list[Stored]:
    """Records with where they belong; a newcomer's side of the panel is fixed in the same breath."""
    if is_check:
        return [(record, UNUSED, annotator) for record in answered]
    panel = side_of_newcomer(leases.records, annotator, folds=campaign.folds)
    now = answered[0].created_at
    sides: list[Stored] = [
        (AnnotatorFold(annotator=name, is_held_out=is_held_out, created_at=now), None, name)
        for name, is_held_out in panel.new.items()
    ]
    where = place(SplitName(split), panel.is_held_out(annotator))
    return [*sides, *((record, where, annotator) for record in answered)]


def _route(leases: Leases, campaign: Campaign, item: str) -> None:
    """Ask one person more while those who judged an item disagree, as far as the campaign allows."""
    run = run_of(campaign)
    if run.overlap is None or run.extra_overlap is None:
        return
    wanted = leases.wanted(campaign.name, item)
    if wanted is None or wanted >= run.overlap + run.extra_overlap:
        return
    answers = leases.answers(campaign.name, item)
    if len(answers) < wanted:
        return
    said = Counter(_word(_answer_of(leases, lease)) for lease in answers)
    if max(said.values()) < DISSENT * len(answers):
        leases.want(campaign.name, item, wanted + 1)


def _word(answered: Answered) -> str:
    return str(answered.ranks) if isinstance(answered, Ranking) else answered.choice


def _answer_of(leases: Leases, lease: Lease) -> Answered:
    identity = lease.answer or ""
    item = leases.records.get(Item, lease.item)
    if item.others and leases.is_known(Ranking.kind, identity):
        return leases.records.get(Ranking, identity)
    return leases.records.get(Judgement, identity)


def _pair_withdrawals(leases: Leases, record: Answered, *, now: datetime) -> list[Answered]:
    """Withdrawals of the pairs that were read from a ranking; nothing for a judgement."""
    if not isinstance(record, Ranking):
        return []
    said = leases.records.all(Judgement, subject=record.annotator)
    gone = {one.supersedes for one in said}
    return [withdrawal_of(one, now=now) for one in said if one.ranking == record.id and one.id not in gone]


def _tail(leases: Leases, record: Answered) -> str:
    """The last record that followed on this one: an answer was taken back, and its lease ran out."""
    followers = {one.supersedes: one.id for one in leases.records.all(type(record), subject=record.annotator)}
    tail = record.id
    while tail in followers:
        tail = followers[tail]
    return tail


def _checked_consent(leases: Leases, annotator: str) -> str:
    consent = agreed_version(leases.records, annotator)
    fault = name_fault(annotator) or ("no consent to the current text" if consent is None else None)
    if fault or consent is None:
        do = "ask for a name and for consent before the first item"
        raise InputError(explain(expected="an annotator who agreed to take part", got=f"{annotator!r}: {fault}", do=do))
    return consent


def _point(campaign: str, annotator: str, turn: int) -> float:
    return int.from_bytes(sha256(f"{campaign}\x00{annotator}\x00{turn}".encode()).digest()[:8], "big") / 2**64
