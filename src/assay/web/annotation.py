"""Annotation site: shows one item at a time to one person and stores what they say. Takes a workspace and a clock.

Every page works without its script: answers are form posts that end in a redirect. The server fixes the sides; names of
models never reach a page. `judging` holds the pages of a campaign, `entry` the way in, `joining` that of a panel,
`rights` what people agree to, `profile` what they want, `comfort` what they would rather not see, `about` what they
tell, `staff` what others may look at.

Does not do: prove who somebody is while the workspace has no account. Then a person is the name they type; whoever a
panel sends is the id that comes with their link.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException as StarletteHTTPException

from assay.feedback import queue_of
from assay.feedback.pii import find_pii
from assay.feedback.pii_finders import Finder
from assay.feedback.pseudonyms import key_path
from assay.feedback.recruiting import Recruitment
from assay.records.errors import AssayError, InputError
from assay.storage import Workspace
from assay.web import about, comfort, entry, joining, judging, profile, rights, staff
from assay.web.api import Source, create_export_api
from assay.web.guard import Guard
from assay.web.rate_limit import RateLimit
from assay.web.rendering import as_read, as_shown
from assay.web.security import HEADERS, Signer, refusal, signing_key, write_link
from assay.web.site import NotEnteredError, Site

HERE = Path(__file__).parent
KEY_FILE = "annotation.key"


def create_annotation_app(
    workspace: Workspace, *, clock: Callable[[], datetime], is_secure: bool = False, finder: Finder = find_pii
) -> FastAPI:
    """The site over one workspace. `is_secure` says that it is served with TLS, so that cookies need it; `finder` looks
    for personal data in what people write.

    Raises StorageError when its signing key cannot be kept.
    """
    key = key_path(workspace.directory)
    site = Site(
        leases=queue_of(workspace.records),
        clock=clock,
        signer=Signer(signing_key(workspace.directory / KEY_FILE)),
        pages=_pages(),
        logins=RateLimit(10, timedelta(minutes=5)),
        posts=RateLimit(600, timedelta(minutes=1)),
        is_secure=is_secure,
        finder=finder,
        pseudonym_key=lambda: signing_key(key),
    )
    app = FastAPI(title="Assay annotation", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    # addresses are tried in this order, and most come to judge
    for part in (judging, entry, joining, rights, profile, comfort, about, staff):
        app.include_router(part.router)
    app.mount("/api", create_export_api(Source(site.leases, clock, site.pseudonym_key)))
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    _answer_errors(app, site)

    headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if is_secure else {})

    def refused(request: Request) -> Response | None:
        found = refusal(request)
        return _problem(site, request, *found) if found else None

    app.add_middleware(Guard, refused=refused, headers=headers)
    return app


def login_address(workspace: Workspace, name: str, *, now: datetime) -> str:
    """Path of a login link for one person; it works once."""
    signer = Signer(signing_key(workspace.directory / KEY_FILE))
    return f"/enter?key={quote(write_link(signer, name, now=now), safe='')}"


def join_address(workspace: Workspace, recruitment: Recruitment, *, placeholder: str) -> str:
    """Path of the link that a panel provider opens, with the person's id where `placeholder` stands."""
    signer = Signer(signing_key(workspace.directory / KEY_FILE))
    return joining.join_path(signer, recruitment, placeholder=placeholder)


def _pages() -> Environment:
    pages = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        auto_reload=False,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"as_read": as_read, "as_shown": as_shown, "quoted": lambda name: quote(name, safe="")}
    return pages


def _answer_errors(app: FastAPI, site: Site) -> None:
    @app.exception_handler(NotEnteredError)
    def _not_entered(_: Request, error: NotEnteredError) -> Response:
        return RedirectResponse(f"/?campaign={quote(error.campaign, safe='')}" if error.campaign else "/", 303)

    @app.exception_handler(AssayError)
    def _assay_error(request: Request, error: AssayError) -> Response:
        status = 400 if isinstance(error, InputError) else 503
        return _problem(site, request, status, f"Nothing was stored: {error}")

    @app.exception_handler(StarletteHTTPException)
    def _http_error(request: Request, error: StarletteHTTPException) -> Response:
        return _problem(site, request, error.status_code, error.detail)

    @app.exception_handler(RequestValidationError)
    def _bad_form(request: Request, error: RequestValidationError) -> Response:
        return _problem(site, request, 400, "The form was not complete, so nothing was stored.")


def _problem(site: Site, request: Request, status: int, reason: str) -> Response:
    if judging.is_from_script(request):
        return JSONResponse({"problem": reason}, status_code=status)
    return site.page("problem.html", {"reason": reason}, status=status)
