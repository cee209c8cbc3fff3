"""Export API: what people said, read by programs with a token. Takes GETs under `/api`, yields JSON; changes nothing.

`/api/openapi.json` describes it. A token reads for its own purpose, of its own campaigns, and under pseudonyms.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from assay import __version__
from assay.feedback.campaign import State, campaign_names, state_of
from assay.feedback.exporting import View, Wanted, allowed, rows_of
from assay.feedback.tokens import Token, find_token
from assay.records.errors import AssayError, ConfigError, InputError
from assay.records.record import Value
from assay.storage.leases import Leases
from assay.web.rate_limit import RateLimit

READS_A_MINUTE = 120
MOST_ROWS = 1000


class Source(NamedTuple):
    """What the API reads from; `pseudonym_key` gives the key when the first names are hidden."""

    leases: Leases
    clock: Callable[[], datetime]
    pseudonym_key: Callable[[], bytes]


class CampaignRow(Value):
    """One campaign: whether people judge it, how many items it holds."""

    name: str
    state: State
    items: int


class JudgementPage(Value):
    """Rows from `offset` on; `next_offset` is None on the last page, `total` counts all rows."""

    rows: list[dict[str, object]]
    total: int
    next_offset: int | None


bearer = HTTPBearer(auto_error=False, description="A token made with `assay feedback token NAME`")


def create_export_api(source: Source) -> FastAPI:
    """The API as an application of its own, to be mounted."""
    api = FastAPI(title="Assay export", version=__version__, docs_url=None, redoc_url=None)
    reads = RateLimit(READS_A_MINUTE, timedelta(minutes=1))

    def token(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Token:
        """The token of a request. 401 without one that opens, 429 for too many reads."""
        now = source.clock()
        found = find_token(source.leases.records, given.credentials, now=now) if given else None
        if found is None:
            raise HTTPException(401, "No token that opens.", headers={"WWW-Authenticate": "Bearer"})
        if not reads.allows(found.hash, now=now):
            raise HTTPException(429, "Too many reads. Wait a minute.")
        return found

    @api.get("/campaigns")
    def campaigns(token: Annotated[Token, Depends(token)]) -> list[CampaignRow]:
        """The campaigns that this token reads."""
        records = source.leases.records
        names = [name for name in campaign_names(records) if _reads(token, name)]
        return [
            CampaignRow(name=name, state=state_of(records, name), items=source.leases.items(name)) for name in names
        ]

    @api.get("/campaigns/{campaign}/judgements")
    def judgements(
        token: Annotated[Token, Depends(token)],
        campaign: str,
        view: Annotated[View, Query(description="Every judgement, what stands of each person, or counts a pair")],
        written_as: Annotated[
            str, Query(alias="format", description="As in `assay feedback export --format`")
        ] = "assay",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 100,
    ) -> JudgementPage:
        """What people said in a campaign, as far as they agreed to the token's purpose."""
        if not _reads(token, campaign) or campaign not in campaign_names(source.leases.records):
            raise HTTPException(404, "There is no such campaign for this token.")
        wanted = Wanted(
            purpose=token.purpose,
            view=view,
            format=written_as,
            campaign=campaign,
            pseudonym_key=source.pseudonym_key(),
        )
        rows = rows_of(allowed(source.leases.records, wanted)[0], wanted)
        following = offset + limit
        return JudgementPage(
            rows=rows[offset:following], total=len(rows), next_offset=following if following < len(rows) else None
        )

    @api.exception_handler(AssayError)
    def _told(_: Request, error: AssayError) -> JSONResponse:
        is_askers = isinstance(error, ConfigError | InputError)
        return JSONResponse({"detail": str(error)}, status_code=400 if is_askers else 503)

    return api


def _reads(token: Token, campaign: str) -> bool:
    return token.campaigns is None or campaign in token.campaigns
