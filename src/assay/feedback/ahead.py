"""Ahead: which of the next items a person gets, where a campaign has a panel or mixes. Takes a queue, yields an item.

Quotas come first, mixing among what is equal to them. Only the next few items are looked at, however many there are;
what was passed over comes when the person comes round.
"""

from assay.feedback.campaign import Campaign, run_of
from assay.feedback.mixing import RECENT, look_of, most_different
from assay.feedback.panels import Panel, foremost, panel_of, told_by
from assay.records.judgement import Item
from assay.storage.leases import Leases, Waiting

AHEAD = 20
"""Items that are looked at to find one for a person."""


def chosen_ahead(leases: Leases, campaign: Campaign, annotator: str, *, limit: int | None) -> str | None:
    """The item that a person should get next, of those up to their limit; None: whichever comes."""
    run = run_of(campaign)
    panel = panel_of(leases.records, campaign.name)
    if not run.mix and (panel is None or run.overlap is None):
        return None
    waiting = leases.ahead(campaign.name, annotator, most=AHEAD, limit=limit)
    if panel is not None and run.overlap is not None:
        waiting = _wanting(leases, waiting, annotator, panel, overlap=run.overlap)
    if run.mix and len(waiting) > 1:
        recent = leases.recent(campaign.name, annotator, most=RECENT)
        items = leases.records.some(Item, [*(one.item for one in waiting), *(one.item for one in recent)])
        looks = [look_of(item) for item in items]
        return waiting[most_different(looks[: len(waiting)], looks[len(waiting) :])].item
    return waiting[0].item if waiting else None


def _wanting(leases: Leases, waiting: list[Waiting], annotator: str, panel: Panel, *, overlap: int) -> list[Waiting]:
    people = {annotator, *(one for item in waiting for one in item.people)}
    told = {one: told_by(leases.records, one) for one in people} if panel.quotas else {}
    return foremost(waiting, annotator, panel, told, overlap=overlap)
