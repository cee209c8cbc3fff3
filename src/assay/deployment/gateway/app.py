"""App: the gateway's HTTP surface, in OpenAI's form. Takes the parts of a deployment, yields a FastAPI app.

Handlers read the body, hand it to `serving` or `intake`, and write the reply; they decide nothing.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from openfeature.client import OpenFeatureClient
from pydantic import BaseModel, Field, TypeAdapter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from assay.deployment import intake
from assay.deployment.gateway import replies
from assay.deployment.gateway.errors import handle_errors
from assay.deployment.gateway.protocol import Engines
from assay.deployment.gateway.routing import ROUTED, STABLE, Routing
from assay.deployment.gateway.schema import ChatRequest, CompletionRequest, ModerationRequest
from assay.deployment.gateway.serving import Serving
from assay.deployment.layers import LayerStack
from assay.deployment.live import LiveWatch
from assay.deployment.rollout import Rollout
from assay.records.release import RolloutStatus
from assay.storage import Workspace

MAX_BODY_BYTES = 1 << 20

_FEEDBACK: TypeAdapter[intake.Thumb | intake.Pair] = TypeAdapter(
    Annotated[intake.Thumb | intake.Pair, Field(discriminator="type")]
)
B = TypeVar("B", bound=BaseModel)


def create_gateway_app(
    workspace: Workspace,
    *,
    engines: Engines,
    stack: LayerStack,
    rollout: Rollout,
    flags: OpenFeatureClient,
    watch: LiveWatch,
    clock: Callable[[], datetime],
    max_body_bytes: int = MAX_BODY_BYTES,
) -> FastAPI:
    """The gateway as an ASGI app."""
    serving = Serving(
        workspace=workspace,
        routing=Routing(workspace, engines, rollout, flags, stack.digest),
        stack=stack,
        watch=watch,
        seal=intake.load_seal(workspace.directory),
        clock=clock,
    )
    app = FastAPI(title="Assay gateway", docs_url=None, redoc_url=None, openapi_url=None)
    handle_errors(app, serving.metrics)
    _add_completions(app, serving, max_body_bytes)
    _add_feedback(app, serving, max_body_bytes)
    _add_status(app, serving, rollout)
    return app


def _add_completions(app: FastAPI, serving: Serving, max_body_bytes: int) -> None:
    async def answer(request: Request, kind: type[ChatRequest] | type[CompletionRequest]) -> Response:
        asked = kind.model_validate_json(await _body(request, max_body_bytes))
        is_chat, digest, created = kind is ChatRequest, serving.stack.digest, int(serving.clock().timestamp())
        if asked.stream:
            flow = await run_in_threadpool(serving.stream, asked.as_prompt, asked)
            return StreamingResponse(
                replies.events(flow, created, is_chat=is_chat),
                media_type="text/event-stream",
                headers=replies.headers(flow.release, digest, flow.report),
            )
        reply = await run_in_threadpool(serving.complete, asked.as_prompt, asked)
        body = replies.chat_body(reply, created) if is_chat else replies.text_body(reply, created)
        return JSONResponse(body, headers=replies.headers(reply.release, digest, reply.report))

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await answer(request, ChatRequest)

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        return await answer(request, CompletionRequest)

    @app.post("/v1/moderations")
    async def moderations(request: Request) -> Response:
        asked = ModerationRequest.model_validate_json(await _body(request, max_body_bytes))
        results = [await run_in_threadpool(serving.moderate, text) for text in asked.texts]
        return JSONResponse(replies.moderation_body(f"modr-{serving.nonce()}", serving.stack.digest, list(results)))


def _add_feedback(app: FastAPI, serving: Serving, max_body_bytes: int) -> None:
    @app.get("/feedback")
    def consent_text() -> dict[str, str]:
        return {"consent_text": intake.CONSENT_TEXT, "consent_version": intake.CONSENT_VERSION, "purpose": "train"}

    @app.post("/feedback")
    async def feedback(request: Request) -> Response:
        given = _FEEDBACK.validate_json(await _body(request, max_body_bytes))
        receipt = await run_in_threadpool(take, given)
        return JSONResponse(receipt._asdict())

    def take(given: intake.Thumb | intake.Pair) -> intake.Receipt:
        now = serving.clock()
        if isinstance(given, intake.Pair):
            return intake.take_pair(serving.workspace, serving.seal, given, now=now)
        receipt = intake.take_thumb(serving.workspace, serving.seal, given, now=now)
        serving.observe(receipt.release, "thumbs_down", given.thumb == "down")
        return receipt


def _add_status(app: FastAPI, serving: Serving, rollout: Rollout) -> None:
    @app.get("/v1/models")
    def models() -> dict[str, object]:
        return replies.models_body(rollout.status.stable, (ROUTED, STABLE), int(serving.clock().timestamp()))

    @app.get("/healthz")
    def healthz() -> RolloutStatus:
        return rollout.status

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(serving.metrics.text(rollout.status), media_type="text/plain; version=0.0.4")


async def _body(request: Request, most: int) -> bytes:
    """The body, read no further than `most` bytes whatever its headers claim."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, f"the body is longer than {most} bytes")
    return bytes(body)
