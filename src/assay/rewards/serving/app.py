"""App: a reward over HTTP. Takes a scorer, yields a FastAPI app.

    POST /get_reward   as OpenRLHF calls it: query, prompts, labels to rewards, scores, extra_logs
    POST /score        Assay's own: prompts and completions to reward, probability, mean, spread, outlier, members
    GET  /healthz      which reward this is

OpenRLHF optimises `rewards`; it filters groups by `scores`, which are the calibrated probabilities here, and logs
`extra_logs`. Labels are ignored: the reward needs none. There is no authentication: serve on loopback, or behind a
proxy.
"""

from logging import getLogger
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from assay.records.errors import AssayError, InputError
from assay.rewards.ensemble import RewardEnsemble
from assay.rewards.serving.exchange import Pair, read_pairs, read_queries
from assay.rewards.serving.scorer import RewardScorer, Scored

_log = getLogger(__name__)

MAX_ROWS = 1024
MAX_BODY_BYTES = 16 << 20
MOST_FAULTS = 50

Text = Annotated[str, Field(max_length=200_000)]
Turns = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1000)]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class RewardRequest(_Request):
    """`POST /get_reward`: `query` is the prompt with the completion behind it, special tokens included."""

    query: list[Text] = Field(min_length=1, max_length=MAX_ROWS)
    prompts: list[Text] = Field(min_length=1, max_length=MAX_ROWS)


class ScoreRequest(_Request):
    """`POST /score`: texts, or chat messages."""

    prompts: list[Text | Turns] = Field(min_length=1, max_length=MAX_ROWS)
    completions: list[Text | Turns] = Field(min_length=1, max_length=MAX_ROWS)


class Health(NamedTuple):
    """What is served."""

    status: str
    reward: str
    backbone: str
    members: int
    kind: str
    aggregation: str
    shaping: str
    context_length: int


R = TypeVar("R", bound=_Request)


def create_app(scorer: RewardScorer, *, max_body_bytes: int = MAX_BODY_BYTES) -> FastAPI:
    """The reward as an ASGI app."""
    app = FastAPI(title="Assay reward", docs_url=None, redoc_url=None, openapi_url=None)
    for kind in (ValidationError, HTTPException, AssayError, Exception):
        app.add_exception_handler(kind, _answer_error)

    @app.post("/get_reward")
    async def get_reward(request: Request) -> JSONResponse:
        asked = await _read(request, RewardRequest, max_body_bytes)
        scored = await run_in_threadpool(lambda: scorer.score(_queries(scorer, asked)))
        return JSONResponse(_for_openrlhf(scored))

    @app.post("/score")
    async def score(request: Request) -> JSONResponse:
        asked = await _read(request, ScoreRequest, max_body_bytes)
        scored = await run_in_threadpool(lambda: scorer.score(read_pairs(scorer.lm, asked.prompts, asked.completions)))
        return JSONResponse({"reward_id": scorer.name, "scores": _by_row(scored)})

    @app.get("/healthz")
    def healthz() -> dict[str, object]:
        lm, made_of = scorer.lm, scorer.reward
        return Health(
            status="ok",
            reward=scorer.name,
            backbone=lm.id,
            members=len(made_of.members),
            kind=made_of.kind,
            aggregation=made_of.aggregation,
            shaping=made_of.shaping.name if isinstance(made_of, RewardEnsemble) else "none",
            context_length=lm.context_length,
        )._asdict()

    return app


def _queries(scorer: RewardScorer, asked: RewardRequest) -> list[Pair]:
    return read_queries(scorer.lm, asked.query, asked.prompts)


def _for_openrlhf(scored: Scored) -> dict[str, object]:
    return {
        "rewards": scored.reward.tolist(),
        "scores": scored.probability.tolist(),
        "extra_logs": {
            "mean": scored.mean.tolist(),
            "spread": scored.spread.tolist(),
            "is_outlier": scored.is_outlier.astype(float).tolist(),
        },
    }


def _by_row(scored: Scored) -> list[dict[str, object]]:
    columns = [column.tolist() for column in scored]
    return [dict(zip(Scored._fields, row, strict=True)) for row in zip(*columns, strict=True)]


async def _read(request: Request, kind: type[R], most: int) -> R:
    """The request, read no further than `most` bytes whatever its headers claim."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, f"expected a body of at most {most} bytes; send fewer rows at once")
    return kind.model_validate_json(bytes(body))


def _answer_error(_request: Request, error: Exception) -> JSONResponse:
    """An error as JSON: a message and every fault. Never shows a traceback."""
    status, message, faults = 500, "the reward failed; the operator's log has the cause", []
    if isinstance(error, ValidationError):
        places = [(".".join(map(str, fault["loc"])) or "body", fault["msg"]) for fault in error.errors()]
        status, message, faults = 400, "the request cannot be read", [f"{place}: {what}" for place, what in places]
    elif isinstance(error, HTTPException):
        status, message = error.status_code, str(error.detail)
    elif isinstance(error, InputError):
        status, message, faults = 400, str(error).splitlines()[0], list(error.faults)
    elif isinstance(error, AssayError):
        status, message = 503, str(error)
    if status >= 500:
        _log.error("a request failed", exc_info=error)
    shown = faults[:MOST_FAULTS]
    return JSONResponse({"error": {"message": message, "faults": shown, "fault_count": len(faults)}}, status)
