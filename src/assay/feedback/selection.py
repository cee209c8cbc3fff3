"""Selection: which pairs of a pool a campaign asks about, and how each came to be chosen. Takes a pool, yields records.

Only prompts whose answers train may be chosen by what a reward would learn: which held-out pairs people judge is drawn
at random alone, or what a policy is judged by would have been picked by what it was trained on. `divided` parts the
pool so. The record is stored before the items: no item is asked about without word of how it was chosen.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple

from assay.feedback.campaign import Campaign, Run, open_campaign, scheme_of
from assay.feedback.folds import Folds, splits_of_prompts
from assay.records.conversation import prompt_id
from assay.records.errors import InputError, explain
from assay.records.judgement import Item
from assay.records.provenance import Provenance
from assay.records.record import Record, Value
from assay.storage import RecordStore, SplitName
from assay.storage.leases import Leases


class Chosen(Value):
    """One item, the arm that chose it, and with what chance a random draw takes it (None: it was not drawn)."""

    item: str
    arm: Literal["random", "informative"]
    propensity: float | None
    information: float | None
    """What its answer was expected to teach the reward, in nats; None where no reward was asked."""


class Selection(Record):
    """How items came into a campaign: what was drawn at random is a sample of `pool` pairs, and the rest is none."""

    kind: ClassVar[str] = "selection"
    campaign: str
    items: tuple[Chosen, ...]
    pool: int
    """Pairs that there were to choose from, those of the campaign left out."""
    random_share: float
    diversity: float
    reward: str | None
    """Identity of the reward whose members were asked."""
    provenance: Provenance


class Divided(NamedTuple):
    """A pool in its two parts, each in the order of the file, and how many are to be chosen of each."""

    trainable: list[Item]
    others: list[Item]
    wanted: tuple[int, int]


def divided(
    leases: Leases, items: Sequence[Item], *, campaign: Campaign | None, count: int, gold: Collection[str] = ()
) -> Divided:
    """Part a pool by the split of its prompts, each part in proportion; what the campaign holds is left out.

    Raises InputError, with every fault, for a pool that cannot be chosen from.
    """
    folds = campaign.folds if campaign else Folds(held_out_annotators="none")
    known = {item.id for item in items if campaign and leases.split_of(campaign.name, item.id) is not None}
    pool = [item for item in items if item.id not in known]
    faults = [f"item {item.short_id} is to be ranked, and only pairs are chosen" for item in pool if item.others]
    faults += [f"item {one[:12]} checks people, and is chosen by nobody" for one in gold]
    if not 1 <= count <= len(pool):
        faults.append(f"{count} of {len(pool)} pairs that the campaign does not hold yet")
    if faults:
        do = "mend the pool, or ask for fewer"
        raise InputError(explain(expected="a pool to choose from", got="; ".join(faults[:5]), do=do))
    splits = splits_of_prompts(leases.records, {item.prompt for item in pool}, folds=folds)
    trains = [splits[prompt_id(item.prompt)] == SplitName.TRAIN for item in pool]
    trainable = [item for item, is_one in zip(pool, trains, strict=True) if is_one]
    others = [item for item, is_one in zip(pool, trains, strict=True) if not is_one]
    of_trainable = min(len(trainable), max(count - len(others), round(count * len(trainable) / len(pool))))
    return Divided(trainable, others, (of_trainable, count - of_trainable))


def open_selected(
    records: RecordStore,
    selection: Selection,
    pool: Sequence[Item],
    *,
    campaign: Campaign | None,
    overlap: int | None,
    now: datetime,
) -> Campaign:
    """Store a selection, then its items: in a campaign that exists, as it is run, or in a new one."""
    records.put(selection, subject=selection.campaign)
    chosen = {one.item for one in selection.items}
    return open_campaign(
        records,
        selection.campaign,
        [item for item in pool if item.id in chosen],
        now=now,
        folds=campaign.folds if campaign else None,
        scheme=scheme_of(records, campaign) if campaign and campaign.scheme else None,
        run=campaign.run if campaign else Run(overlap=overlap),
    )
