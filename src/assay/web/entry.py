"""Entry: the way in and out of the annotation site: a name, a password or a signed link; a panel's is `joining`."""

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from assay.feedback import progress
from assay.feedback.accounts import check_password, find_account, is_open_to_all, use_link
from assay.feedback.campaign import Campaign
from assay.feedback.formats.row import name_fault
from assay.feedback.recruiting import Recruitment, is_participant
from assay.web.joining import left_page
from assay.web.security import read_link, write_session
from assay.web.site import (
    Fields,
    MaybeVisitor,
    OpenFields,
    Site,
    TheSite,
    campaign_path,
    cookie_name,
    remember,
    shared,
    their_campaigns,
)

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/")
def start(site: TheSite, visitor: MaybeVisitor, campaign: str = "") -> Response:
    """The form that asks who it is, or the campaigns that wait for this person."""
    if visitor is None:
        return _form(site, campaign=campaign)
    if visitor.joined is not None:
        return RedirectResponse(campaign_path(visitor.joined.campaign), status_code=303)
    names = their_campaigns(site, visitor, "judge")
    rows = [(name, campaign_path(name), progress(site.leases, name, visitor.name)) for name in names]
    staff = {page: their_campaigns(site, visitor, page) for page in ("review", "quality", "trail")}
    return site.page("campaigns.html", {**shared(visitor), "campaigns": rows, "staff": staff})


@router.post("/login")
def login(site: TheSite, request: Request, fields: OpenFields) -> Response:
    """Let a person in by name, or by name and password where there are accounts, and go on to the campaign."""
    name, campaign = fields.get("name", "").strip(), fields.get("campaign", "")
    if fault := name_fault(name):
        return _form(site, campaign=campaign, name=name, fault=f"Please enter a name: {fault}.")
    if is_participant(name):
        return _form(site, campaign=campaign, name=name, fault="This name is for people who come by a panel's link.")
    if is_open_to_all(site.records):
        return _enter(site, name, campaign)
    address = request.client.host if request.client else "?"
    now = site.clock()
    if not all(site.logins.allows(key, now=now) for key in (f"address {address}", f"name {name}")):
        raise HTTPException(429, "Too many tries. Wait five minutes, or ask for a login link.")
    if check_password(site.records, name, fields.get("password", ""), now=now) is None:
        return _form(site, campaign=campaign, name=name, fault="Name and password do not belong together.")
    return _enter(site, name, campaign)


@router.get("/enter")
def by_link(site: TheSite, key: str = "") -> Response:
    """Ask whether to enter, so that a program which looks at the link does not use it up."""
    link = read_link(site.signer, key, now=site.clock())
    if link is None:
        raise HTTPException(403, "This link is not valid or too old. Ask for another.")
    return site.page("enter.html", {"name": link.name, "key": key})


@router.post("/enter")
def use(site: TheSite, fields: OpenFields) -> Response:
    """Enter by a signed link, once."""
    now = site.clock()
    link = read_link(site.signer, fields.get("key"), now=now)
    account = find_account(site.records, link.name) if link else None
    if link is None or account is None or account.is_closed or not use_link(site.records, link.nonce, now=now):
        raise HTTPException(403, "This link is not valid, too old or used before. Ask for another.")
    return _enter(site, link.name, "")


@router.post("/logout")
def logout(site: TheSite, visitor: MaybeVisitor, fields: Fields) -> Response:
    """Forget who it was; whoever a panel provider sent is told how to give their place back."""
    is_sent = visitor is not None and visitor.joined is not None
    response = left_page(site, visitor) if visitor and is_sent else RedirectResponse("/", status_code=303)
    response.delete_cookie(cookie_name(site), secure=site.is_secure, httponly=True, samesite="lax")
    return response


def _form(site: Site, *, campaign: str, name: str = "", fault: str | None = None) -> Response:
    needs_password = not is_open_to_all(site.records)
    values = {"campaign": campaign, "name": name, "fault": fault, "needs_password": needs_password}
    values["recruits"] = site.records.count(Recruitment) > 0
    return site.page("login.html", values, status=400 if fault else 200)


def _enter(site: Site, name: str, campaign: str) -> Response:
    is_known = bool(campaign) and site.records.latest(Campaign, subject=campaign) is not None
    response = RedirectResponse(campaign_path(campaign) if is_known else "/", status_code=303)
    return remember(response, site, write_session(site.signer, name, now=site.clock()))
