"""Errors: turns what can go wrong into OpenAI's error JSON with its status. Never shows a traceback or an input."""

from collections.abc import Callable
from logging import getLogger

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from assay.deployment.gateway.metrics import GatewayMetrics
from assay.deployment.gateway.routing import BusyEngineError, EngineFailedError, UnknownModelError
from assay.records.errors import AssayError, InputError

_log = getLogger(__name__)
_STATUS: tuple[tuple[type[Exception], int, str, str | None], ...] = (
    (UnknownModelError, 404, "invalid_request_error", "model_not_found"),
    (BusyEngineError, 429, "rate_limit_error", "engine_busy"),
    (EngineFailedError, 503, "server_error", "engine_failed"),
    (InputError, 400, "invalid_request_error", "invalid_value"),
    (AssayError, 503, "server_error", None),
)


def error_body(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, object]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def describe(error: Exception) -> tuple[int, dict[str, object]]:
    """Status and body for an error; what is not ours to explain becomes a plain 500."""
    if isinstance(error, ValidationError):
        faults = [(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in error.errors()]
        message = "; ".join(f"{place}: {what}" if place else what for place, what in faults[:20])
        return 400, error_body(message, "invalid_request_error", "invalid_body", faults[0][0] or None)
    if isinstance(error, HTTPException):
        return error.status_code, error_body(str(error.detail), "invalid_request_error")
    for kind, status, name, code in _STATUS:
        if isinstance(error, kind):
            return status, error_body(str(error), name, code)
    return 500, error_body("the gateway failed; the operator's log has the cause", "server_error")


def handle_errors(app: FastAPI, metrics: GatewayMetrics) -> None:
    """Answer every error of the app in OpenAI's form, and count it."""

    def handler(_request: Request, error: Exception) -> JSONResponse:
        status, body = describe(error)
        metrics.errors.labels(str(status)).inc()
        if status >= 500:
            _log.error("request failed", exc_info=error)
        return JSONResponse(body, status)

    handlers: list[Callable[[Request, Exception], JSONResponse]] = [handler]
    for kind in (ValidationError, HTTPException, AssayError, Exception):
        app.add_exception_handler(kind, handlers[0])
