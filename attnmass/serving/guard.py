"""What surrounds every request: its id, its key, its time, and the one body for its errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from logging import getLogger
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attnmass.engine.telemetry import span
from attnmass.serving.answers import error_answer
from attnmass.serving.auth import Keys
from attnmass.serving.errors import BadRequest, HttpError
from attnmass.serving.logs import told_error
from attnmass.serving.metrics import Metrics

_logger = getLogger(__name__)

# What anybody may ask: whatever starts and stops servers has no key.
OPEN = ("/health", "/ready")

_LONGEST_ID = 64


class Guard:
    """ASGI middleware around all routes."""

    def __init__(self, app: ASGIApp, *, keys: Keys, metrics: Metrics) -> None:
        """Surround an application."""
        self._app = app
        self._keys = keys
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        facts = scope["attnmass"] = {"id": request_id(headers)}
        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = facts["id"]
            await send(message)

        try:
            if scope["path"] not in OPEN:
                self._keys.check(headers)
            with span("attnmass.request", kind="server", caller=headers) as tell:
                await self._app(scope, receive, told)
                tell(route=route_of(scope), status=status, request_id=facts["id"])
        except HttpError as error:
            facts["error_type"] = error.kind
            await error_answer(error)(scope, receive, told)
        except Exception as error:
            facts["error_type"] = type(error).__name__
            # Not the error itself, whose message may quote a text, whatever formats the record.
            _logger.error(
                "a bug in attnmass", extra={"request_id": facts["id"], **told_error(error)}
            )
            if not status:
                answer = HttpError(500, "internal", "the server failed: this is a bug in attnmass")
                await error_answer(answer)(scope, receive, told)
        finally:
            self._tell(scope, facts, status or 499, time.perf_counter() - started)

    def _tell(
        self, scope: Mapping[str, Any], facts: Mapping[str, Any], status: int, seconds: float
    ) -> None:
        """Count and log a request; 499 stands for one that nobody waited for."""
        route = route_of(scope)
        documents = facts.get("documents")
        self._metrics.request(route, status, seconds, documents)
        level = "info" if route not in OPEN else "debug"
        getattr(_logger, level)(
            "request",
            extra={
                "request_id": facts["id"],
                "method": scope["method"],
                "route": route,
                "status": status,
                "seconds": round(seconds, 4),
                "documents": documents,
                "error_type": facts.get("error_type"),
            },
        )


class Cors(CORSMiddleware):
    """Starlette's, but with the one body of errors also where it refuses a browser's question."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """What a browser is told before it asks."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        told = error_answer(BadRequest(bytes(answer.body).decode()))
        lengths = ("content-length", "content-type")  # of the text that the answer was
        kept = {name: value for name, value in answer.headers.items() if name not in lengths}
        told.headers.update(kept)
        return told


def route_of(scope: Mapping[str, Any]) -> str:
    """The route that a request matched, as it is declared: paths are endless, routes are few."""
    return str(getattr(scope.get("route"), "path", "other"))


def request_id(headers: Mapping[str, str]) -> str:
    """The caller's own id where it has a decent one, else a new one."""
    said = headers.get("x-request-id", "")
    plain = said.replace("-", "").replace("_", "").replace(".", "")
    if plain.isalnum() and plain.isascii() and len(said) <= _LONGEST_ID:
        return said
    return uuid.uuid4().hex
