"""Guard: refuses what no page of the site sends, and puts the strict headers on every answer.

Plain ASGI: the framework's way of doing the same hands every answer through a task and a stream of its own.
"""

from collections.abc import Callable, Mapping

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Guard:
    """`refused` answers a request in place of the site, or says None; `headers` replace those of the same name."""

    def __init__(
        self, app: ASGIApp, *, refused: Callable[[Request], Response | None], headers: Mapping[str, str]
    ) -> None:
        self._app = app
        self._refused = refused
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._refused(Request(scope)) or self._app
        await answer(scope, receive, guarded)
