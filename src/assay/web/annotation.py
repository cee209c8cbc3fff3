"""Annotation site: shows one pair at a time to one person and stores what they say. Takes a workspace and a clock.

Every page works without its script: answers are form posts that end in a redirect. The server fixes the sides; names of
models never reach a page.

Does not do: prove who somebody is. A person is the name they type, kept in a signed cookie.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Annotated, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException as StarletteHTTPException

from assay.feedback import (
    TEXTS,
    consent_version,
    find_campaign,
    give_consent,
    next_item,
    progress,
    record_answer,
    shown_order,
    undo_last,
)
from assay.feedback.campaign import Answer, campaign_names, find_item
from assay.feedback.formats.row import name_fault
from assay.records.errors import AssayError
from assay.records.judgement import Item
from assay.storage import RecordStore, Workspace
from assay.web.security import HEADERS, Signer, refusal, signing_key

HERE = Path(__file__).parent
COOKIE = "assay_annotator"


class AnswerKey(NamedTuple):
    """One answer: the key that gives it, what its button says, and what is said once it is stored."""

    key: str
    answer: Answer
    label: str
    stored: str


ANSWERS = (
    AnswerKey("1", "left", "Left is better", "left is better"),
    AnswerKey("2", "right", "Right is better", "right is better"),
    AnswerKey("3", "tie", "Equally good", "equally good"),
    AnswerKey("4", "both_bad", "Both are bad", "both are bad"),
    AnswerKey("5", "cannot_judge", "I cannot judge", "cannot judge"),
)
NOTICES = {key.answer: f"Stored: {key.stored}." for key in ANSWERS} | {"undone": "Your last answer was taken back."}


class Site(NamedTuple):
    """What the handlers share. `writing` lets one answer in at a time, so that a double click is one answer."""

    records: RecordStore
    clock: Callable[[], datetime]
    signer: Signer
    pages: Environment
    writing: Lock

    def page(self, template: str, values: Mapping[str, object], *, status: int = 200) -> HTMLResponse:
        """One page, never kept by a cache."""
        html = self.pages.get_template(template).render(values)
        return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def _annotator(request: Request) -> str | None:
    return _site(request).signer.read(request.cookies.get(COOKIE))


def _campaign(campaign: str, request: Request) -> str:
    if campaign not in campaign_names(_site(request).records):
        raise HTTPException(404, "There is no campaign of this name.")
    return campaign


TheSite = Annotated[Site, Depends(_site)]
MaybeAnnotator = Annotated[str | None, Depends(_annotator)]
TheCampaign = Annotated[str, Depends(_campaign)]

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/")
def start(site: TheSite, annotator: MaybeAnnotator, campaign: str = "") -> Response:
    """The form that asks for a name, or the campaigns that wait for this person."""
    if annotator is None:
        return site.page("login.html", {"campaign": campaign, "name": "", "fault": None})
    names = campaign_names(site.records)
    rows = [(name, campaign_path(name), progress(site.records, name, annotator)) for name in names]
    return site.page("campaigns.html", {"annotator": annotator, "campaigns": rows})


@router.post("/login")
def login(
    site: TheSite, request: Request, name: Annotated[str, Form()] = "", campaign: Annotated[str, Form()] = ""
) -> Response:
    """Keep the name in a signed cookie and go on to the campaign."""
    name = name.strip()
    if fault := name_fault(name):
        values = {"campaign": campaign, "name": name, "fault": f"Please enter a name: {fault}."}
        return site.page("login.html", values, status=400)
    target = campaign_path(campaign) if campaign in campaign_names(site.records) else "/"
    response = RedirectResponse(target, status_code=303)
    is_secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, site.signer.sign(name), httponly=True, samesite="lax", secure=is_secure)
    return response


@router.post("/logout")
def logout() -> Response:
    """Forget the name."""
    response = RedirectResponse("/", status_code=303)
    response.delete_cookie(COOKIE)
    return response


@router.get("/c/{campaign}")
def judge(site: TheSite, annotator: MaybeAnnotator, campaign: TheCampaign, said: str = "") -> Response:
    """The next pair; before it consent, after the last one thanks."""
    if annotator is None:
        return _to_login(campaign)
    shared = {"annotator": annotator, "campaign": campaign, "path": campaign_path(campaign)}
    if consent_version(site.records, annotator, "train") is None:
        return site.page("consent.html", {**shared, "text": TEXTS["train"]})
    come = {"progress": progress(site.records, campaign, annotator), "notice": NOTICES.get(said, "")}
    item = next_item(site.records, campaign, annotator)
    if item is None:
        return site.page("done.html", {**shared, **come})
    left, right = sides(item, annotator)
    shown = {"item": item, "left": left, "right": right, "answers": ANSWERS}
    return site.page("judge.html", {**shared, **come, **shown})


@router.post("/c/{campaign}/consent")
def consent(site: TheSite, annotator: MaybeAnnotator, campaign: TheCampaign) -> Response:
    """Store the yes to the current text."""
    if annotator is None:
        return _to_login(campaign)
    give_consent(site.records, annotator, "train", now=site.clock())
    return RedirectResponse(campaign_path(campaign), status_code=303)


@router.post("/c/{campaign}/answer")
def answer(
    site: TheSite,
    annotator: MaybeAnnotator,
    campaign: TheCampaign,
    item: Annotated[str, Form()],
    answer: Annotated[Answer, Form()],
    active_s: Annotated[str, Form()] = "",
) -> Response:
    """Store one answer and go to the next pair."""
    if annotator is None:
        return _to_login(campaign)
    if item not in find_campaign(site.records, campaign).splits:
        raise HTTPException(404, "This pair is not part of the campaign.")
    with site.writing:
        judged = find_item(site.records, campaign, item)
        now = site.clock()
        record_answer(site.records, judged, annotator, answer, now=now, time_on_task_s=seconds(active_s))
    return RedirectResponse(f"{campaign_path(campaign)}?said={answer}", status_code=303)


@router.post("/c/{campaign}/undo")
def undo(site: TheSite, annotator: MaybeAnnotator, campaign: TheCampaign) -> Response:
    """Take the last answer back; its pair is shown again."""
    if annotator is None:
        return _to_login(campaign)
    with site.writing:
        undone = undo_last(site.records, campaign, annotator, now=site.clock())
    return RedirectResponse(campaign_path(campaign) + ("?said=undone" if undone else ""), status_code=303)


def sides(item: Item, annotator: str) -> tuple[str, str]:
    """The two completions as they stand for this person, left and right."""
    is_first_left = shown_order(annotator, item.id) == "left"
    return (item.first, item.second) if is_first_left else (item.second, item.first)


def seconds(text: str) -> float | None:
    """The number in a hidden field, or None; what is credible is for the campaign to say."""
    try:
        return float(text)
    except ValueError:
        return None


def campaign_path(name: str) -> str:
    """The address of a campaign on this site."""
    return f"/c/{quote(name, safe='')}"


def _to_login(campaign: str) -> Response:
    return RedirectResponse(f"/?campaign={quote(campaign, safe='')}", status_code=303)


def create_annotation_app(workspace: Workspace, *, clock: Callable[[], datetime]) -> FastAPI:
    """The site over one workspace. Raises StorageError when its signing key cannot be kept."""
    pages = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    signer = Signer(signing_key(workspace.directory / "annotation.key"))
    site = Site(workspace.records, clock, signer, pages, Lock())
    app = FastAPI(title="Assay annotation", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    _answer_errors(app, site)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse foreign forms, and put the strict headers on every answer."""
        refused = refusal(request)
        response = _problem(site, *refused) if refused else await call_next(request)
        response.headers.update(HEADERS)
        return response

    return app


def _answer_errors(app: FastAPI, site: Site) -> None:
    @app.exception_handler(AssayError)
    def _assay_error(_: Request, error: AssayError) -> Response:
        return _problem(site, 503, f"Nothing was stored: {error}")

    @app.exception_handler(StarletteHTTPException)
    def _http_error(_: Request, error: StarletteHTTPException) -> Response:
        return _problem(site, error.status_code, error.detail)

    @app.exception_handler(RequestValidationError)
    def _bad_form(_: Request, error: RequestValidationError) -> Response:
        return _problem(site, 400, "The form was not complete, so nothing was stored.")


def _problem(site: Site, status: int, reason: str) -> Response:
    return site.page("problem.html", {"reason": reason}, status=status)
