"""Site: what the handlers of the annotation site share: the workspace, the clock, pages, and who is asking.

A visitor is whoever the signed cookie names; with accounts in the workspace, whoever has one that is open. Who came by
a join link needs none, and may judge the campaign of that link alone. A campaign that is not theirs does not exist for
them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, NamedTuple
from urllib.parse import quote

from fastapi import Depends, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from jinja2 import Environment
from starlette.datastructures import FormData

from assay.feedback.accounts import Account, Page, find_account, is_open_to_all, may
from assay.feedback.campaign import Campaign, campaign_names, state_of
from assay.feedback.pii import find_pii
from assay.feedback.pii_finders import Finder
from assay.feedback.recruiting import Recruitment, find_recruitment
from assay.storage import RecordStore
from assay.storage.leases import Leases
from assay.web.rate_limit import RateLimit
from assay.web.security import SESSION_TIME, Session, Signer, form_token, is_form_token, read_session

COOKIE = "assay_annotator"


class Site(NamedTuple):
    """The parts of one site."""

    leases: Leases
    clock: Callable[[], datetime]
    signer: Signer
    pages: Environment
    logins: RateLimit
    posts: RateLimit
    is_secure: bool
    finder: Finder
    """What looks for personal data in what people write."""
    pseudonym_key: Callable[[], bytes]
    """The key that turns a participant's id into a name."""

    @property
    def records(self) -> RecordStore:
        """The record store of the workspace."""
        return self.leases.records

    @property
    def is_quick(self) -> bool:
        """Whether an answer is stored, and a page made, in less time than it takes to hand them to a thread and back.

        Not where a server keeps the records, or a language model looks for personal data: others would wait for them.
        """
        return self.records.is_file and self.finder is find_pii

    def page(self, template: str, values: Mapping[str, object], *, status: int = 200) -> HTMLResponse:
        """One page, never kept by a cache."""
        html = self.pages.get_template(template).render(values)
        return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


class Visitor(NamedTuple):
    """Who is asking; `account` is None while the workspace has none, and for who was recruited by `joined`."""

    name: str
    account: Account | None
    token: str
    joined: Recruitment | None = None

    def may(self, page: Page, campaign: str | None = None) -> bool:
        """Whether a kind of page is theirs to see; without accounts everybody judges and nobody reviews."""
        if self.joined is not None:
            return page == "judge" and campaign in (None, self.joined.campaign)
        return page == "judge" if self.account is None else may(self.account, page, campaign)


class NotEnteredError(Exception):
    """Nobody has entered; the way in leads on to `campaign`."""

    def __init__(self, campaign: str = "") -> None:
        self.campaign = campaign
        super().__init__("nobody has entered")


class Desk(NamedTuple):
    """One person before one campaign."""

    site: Site
    visitor: Visitor
    campaign: Campaign

    @property
    def path(self) -> str:
        """Address of the campaign."""
        return campaign_path(self.campaign.name)

    @property
    def shared(self) -> dict[str, object]:
        """What every page of a campaign shows."""
        return {**shared(self.visitor), "campaign": self.campaign.name, "path": self.path}


async def quickly(site: Site, work: Callable[[], Response]) -> Response:
    """What `work` answers, from here where the site is quick, else from a thread.

    For what is asked for at every item; threads that share a processor keep each other from it.
    """
    return work() if site.is_quick else await run_in_threadpool(work)


def shared(visitor: Visitor) -> dict[str, object]:
    """What every page shows of its visitor."""
    return {"annotator": visitor.name, "token": visitor.token, "visitor": visitor}


def campaign_path(name: str) -> str:
    """The address of a campaign on this site."""
    return f"/c/{quote(name, safe='')}"


def site_of(request: Request) -> Site:
    """The site that a request came to."""
    site: Site = request.app.state.site
    return site


def cookie_name(site: Site) -> str:
    """With TLS the cookie is bound to this host and path."""
    return f"__Host-{COOKIE}" if site.is_secure else COOKIE


def session_of(request: Request) -> Session | None:
    """The visit that a request belongs to."""
    site = site_of(request)
    return read_session(site.signer, request.cookies.get(cookie_name(site)), now=site.clock())


def visitor_of(request: Request) -> Visitor | None:
    """Who is asking, or None."""
    site, session = site_of(request), session_of(request)
    if session is None:
        return None
    token = form_token(site.signer, session)
    if session.join is not None:
        joined = find_recruitment(site.records, *session.join)
        return None if joined is None else Visitor(session.name, None, token, joined)
    if is_open_to_all(site.records):
        return Visitor(session.name, None, token)
    account = find_account(site.records, session.name)
    return None if account is None or account.is_closed else Visitor(session.name, account, token)


def remember(response: Response, site: Site, session: str) -> Response:
    """The answer with the cookie of a visit that begins."""
    response.set_cookie(
        cookie_name(site),
        session,
        max_age=int(SESSION_TIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=site.is_secure,
    )
    return response


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form from a page of this visit, each once; files are left out."""
    form: FormData = await request.form()
    return {name: value for name, value in form.items() if isinstance(value, str)}


async def checked_fields(request: Request) -> dict[str, str]:
    """The fields of a form that carries this visit's token. Refuses any other, and too many of them."""
    fields, site, session = await fields_of(request), site_of(request), session_of(request)
    if session is None:
        raise NotEnteredError(request.path_params.get("campaign", ""))
    if not is_form_token(site.signer, session, fields.get("token", "")):
        raise HTTPException(403, "This form is not from a page of your visit. Reload the page and try again.")
    if not site.posts.allows(session.nonce, now=site.clock()):
        raise HTTPException(429, "Too many answers at once. Wait a moment.")
    return fields


def desk_of(request: Request, campaign: str) -> Desk:
    """The visitor's place in a campaign. 404 where there is none for them; whoever has not entered is sent to do so."""
    visitor = visitor_of(request)
    if visitor is None:
        raise NotEnteredError(campaign)
    return Desk(site_of(request), visitor, _theirs(request, visitor, campaign, page="judge"))


def staff_of(page: Page) -> Callable[[Request, str], Desk]:
    """A dependency that lets in those whose role may see a kind of page."""

    def staff(request: Request, campaign: str) -> Desk:
        visitor = visitor_of(request)
        if visitor is None:
            raise NotEnteredError
        return Desk(site_of(request), visitor, _theirs(request, visitor, campaign, page=page))

    return staff


def _theirs(request: Request, visitor: Visitor, campaign: str, *, page: Page) -> Campaign:
    found = site_of(request).records.latest(Campaign, subject=campaign)
    if found is None or not visitor.may(page, campaign):
        raise HTTPException(404, "There is no such page for you.")
    if page == "judge" and state_of(site_of(request).records, campaign) != "open":
        pay = " Write to those who recruited you, through your provider, about your place." if visitor.joined else ""
        raise HTTPException(403, f"This campaign is not open. What you said before is kept.{pay}")
    return found


def their_campaigns(site: Site, visitor: Visitor, page: Page) -> list[str]:
    """Names of the campaigns of which a visitor may see a kind of page."""
    names = [name for name in campaign_names(site.records) if visitor.may(page, name)]
    return [name for name in names if page != "judge" or state_of(site.records, name) == "open"]


TheSite = Annotated[Site, Depends(site_of)]
MaybeVisitor = Annotated[Visitor | None, Depends(visitor_of)]
TheDesk = Annotated[Desk, Depends(desk_of)]
Fields = Annotated[dict[str, str], Depends(checked_fields)]
OpenFields = Annotated[dict[str, str], Depends(fields_of)]
