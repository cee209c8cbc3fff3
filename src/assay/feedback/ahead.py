"""Ahead: which of the next items a person gets, where a campaign has a panel. Takes a queue, yields an item.

Only the next few items are looked at, however many there are;
what was passed over comes when the person comes round.
"""

from assay.feedback.campaign import Campaign, run_of
from assay.feedback.panels import Panel, foremost, panel_of, told_by
from assay.storage.leases import Leases, Waiting

AHEAD = 20
"""Items that are looked at to find one for a person."""


def chosen_ahead(leases: Leases, campaign: Campaign, annotator: str, *, limit: int | None) -> str | None:
    """The item that a person should get next, of those up to their limit; None: whichever comes."""
    panel, overlap = panel_of(leases.records, campaign.name), run_of(campaign).overlap
    if panel is None or overlap is None:
        return None
    waiting = leases.ahead(campaign.name, annotator, most=AHEAD, limit=limit)
    waiting = _wanting(leases, waiting, annotator, panel, overlap=overlap)
    return waiting[0].item if waiting else None


def _wanting(leases: Leases, waiting: list[Waiting], annotator: str, panel: Panel, *, overlap: int) -> list[Waiting]:
    people = {annotator, *(one for item in waiting for one in item.people)}
    told = {one: told_by(leases.records, one) for one in people} if panel.quotas else {}
    return foremost(waiting, annotator, panel, told, overlap=overlap)
