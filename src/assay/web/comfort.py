"""Comfort page: how upsetting the items may be that a person is given. The rules live in `assay.feedback.comfort`."""

import secrets
from collections.abc import Mapping

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from assay.feedback.comfort import accept, accepted_by
from assay.records.judgement import HARMS, Harm
from assay.web.site import Desk, Fields, MaybeVisitor, NotEnteredError, Site, TheSite, Visitor, campaign_path, shared

COMFORT_WORDS: dict[Harm, tuple[str, str]] = {
    "strong": ("Everything", "Some of it may be cruel, hateful, or about violence or self-harm."),
    "mild": ("Nothing strongly upsetting", "Some of it may still be rude or unpleasant."),
    "none": ("Nothing upsetting", "Only what is marked as harmless, or not marked at all."),
}

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/comfort")
def comfort(visitor: MaybeVisitor, site: TheSite, said: str = "") -> Response:
    """What a person wants to see; nothing is chosen for them beforehand."""
    if visitor is None:
        raise NotEnteredError
    return _page(site, visitor, is_stored=said == "stored")


@router.post("/comfort")
def store(visitor: MaybeVisitor, site: TheSite, fields: Fields) -> Response:
    """Store what a person wants to see, and go back to the campaign that asked, if one did."""
    if visitor is None:
        raise NotEnteredError
    harm, campaign = harm_in(fields), fields.get("campaign", "")
    if harm is None:
        return _page(site, visitor, campaign=campaign, fault="Please choose one of the three.")
    store_word(site, visitor, harm)
    return RedirectResponse(campaign_path(campaign) if campaign else "/comfort?said=stored", status_code=303)


def harm_in(fields: Mapping[str, str]) -> Harm | None:
    """The level that a form names."""
    return next((harm for harm in HARMS if harm == fields.get("accepts")), None)


def store_word(site: Site, visitor: Visitor, harm: Harm) -> None:
    """Store what a person wants to see."""
    accept(site.leases, visitor.name, harm, salt=secrets.token_hex(16), now=site.clock())


def asking_page(desk: Desk) -> Response:
    """The page that asks once, before the first item of a campaign that says how upsetting its items are."""
    return _page(desk.site, desk.visitor, campaign=desk.campaign.name)


def _page(
    site: Site, visitor: Visitor, *, campaign: str = "", is_stored: bool = False, fault: str | None = None
) -> Response:
    values = {"campaign": campaign, "is_stored": is_stored, "fault": fault, "comfort_words": COMFORT_WORDS}
    accepts = accepted_by(site.records, visitor.name)
    page = {**shared(visitor), **values, "accepts": accepts}
    return site.page("comfort.html", page, status=400 if fault else 200)
