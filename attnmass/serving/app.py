"""The application: what answers which route."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from attnmass.serving.about import (
    docs,
    health,
    info,
    models,
    ranker,
    ready,
    stats,
    tokenizer,
)
from attnmass.serving.answers import error_answer
from attnmass.serving.auth import Keys
from attnmass.serving.body import Gone
from attnmass.serving.errors import HttpError
from attnmass.serving.examples import EXAMPLES
from attnmass.serving.forms import INFINITY, RERANK, Form, form_of
from attnmass.serving.guard import OPEN, Cors, Guard
from attnmass.serving.metrics import CONTENT_TYPE, Metrics
from attnmass.serving.own import AttributeForm, ExplainForm, OwnForm, TrimForm, WarmForm
from attnmass.serving.pairs import Score, score_of
from attnmass.serving.service import Service
from attnmass.serving.spans import SpansForm

if TYPE_CHECKING:
    from attnmass.serving.metrics import Shards

Endpoint = Callable[[Request], Awaitable[Response]]

_RERANK_PATHS = (
    "/rerank",
    "/v1/rerank",
    "/v2/rerank",
    "/v1/reranking",
    "/reranking",
    "/v1/ranking",
    "/v1/retrieval/{rest:path}/reranking",
)
_SCORE_PATHS = ("/score", "/v1/score")
_OWN: dict[str, tuple[type[OwnForm], str]] = {
    "/v1/trim": (TrimForm, "Rerank, and trim to a budget"),
    "/v1/attribute": (AttributeForm, "See what an answer rests on"),
    "/v1/warm": (WarmForm, "Read documents ahead"),
    "/v1/explain": (ExplainForm, "Draw a heat map"),
    "/v1/spans": (SpansForm, "Score documents and all their spans"),
}


def make_app(service: Service, shards: Shards | None = None) -> FastAPI:
    """The application of one service, which it starts and stops.

    Args:
        service: The service.
        shards: Gives what shards elsewhere keep, see `Metrics`; called in a thread, since it may
            wait.

    Raises:
        ValueError, OSError: As `ServingOptions.keys`.
    """
    options = service.options
    metrics = Metrics(service.worker, shards)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.worker.start()
        yield
        service.worker.stop()

    app = FastAPI(
        title="attnmass",
        summary="Reranks and trims texts by the attention that a query pays them",
        version=version("attnmass"),
        docs_url=None,  # its page would be fetched from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.add_middleware(Guard, keys=Keys(options.keys()), metrics=metrics)
    if options.origins:
        app.add_middleware(
            Cors,
            allow_origins=list(options.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_exception_handler(HttpError, _on_http_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Gone, _on_gone)
    _add_model_routes(app, service)
    _add_other_routes(app, service, metrics)
    return app


def _add_model_routes(app: FastAPI, service: Service) -> None:
    """Those that ask the model."""

    async def rerank(request: Request) -> Response:
        return await service.rerank(request, partial(form_of, forms=RERANK))

    async def infinity(request: Request) -> Response:
        return await service.rerank(request, partial(form_of, forms=INFINITY))

    async def score(request: Request) -> Response:
        return await service.rerank(request, score_of)

    for path in _RERANK_PATHS:
        _post(app, path, rerank, "Rank texts for a query", RERANK)
    _post(app, "/infinity/rerank", infinity, "Rank texts for a query", INFINITY)
    for path in _SCORE_PATHS:
        _post(app, path, score, "Score texts for a query", (Score,))
    for path, (form, summary) in _OWN.items():
        _post(app, path, _own(service, form), summary, (form,))


def _own(service: Service, form: type[OwnForm]) -> Endpoint:
    async def own(request: Request) -> Response:
        return await service.own(request, form)

    return own


def _add_other_routes(app: FastAPI, service: Service, metrics: Metrics) -> None:
    """Those that do not."""

    async def told(_: Request) -> Response:
        return Response(await run_in_threadpool(metrics.told), media_type=CONTENT_TYPE)

    def get(path: str, endpoint: Callable[[Service], Response], summary: str) -> None:
        async def answer(_: Request) -> Response:
            return endpoint(service)

        app.add_api_route(path, answer, summary=summary, **_PLAIN)
        if path in OPEN:  # many probes send HEAD
            app.add_api_route(
                path, answer, include_in_schema=False, **_PLAIN | {"methods": ["HEAD"]}
            )

    get("/health", health, "Whether the process is alive")
    get("/ready", ready, "Whether requests are taken")
    get("/info", info, "What is served, as TEI says it")
    get("/models", models, "What is served, as OpenAI says it")
    get("/v1/models", models, "What is served, as OpenAI says it")
    get("/v1/ranker", ranker, "What is served, for clients of this package")
    get("/v1/tokenizer", tokenizer, "The model's tokenizer")
    get("/v1/stats", stats, "What the model did since it was loaded")
    app.add_api_route("/metrics", told, summary="Numbers for Prometheus", **_PLAIN)

    async def page(_: Request) -> Response:
        return docs(app.openapi())

    app.add_api_route("/docs", page, include_in_schema=False, **_PLAIN)


_PLAIN: dict[str, Any] = {"methods": ["GET"], "response_model": None}


def _post(
    app: FastAPI,
    path: str,
    endpoint: Endpoint,
    summary: str,
    forms: tuple[type[Form] | type[OwnForm], ...],
) -> None:
    """Add a route whose body is read by `Service`, and document that body."""
    schemas = [form.model_json_schema() for form in forms]
    examples = {name: {"value": body} for name, body in EXAMPLES[path].items()}
    content = {
        "schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas},
        "examples": examples,
    }
    app.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        summary=summary,
        response_model=None,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": content}}},
    )


async def _on_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HttpError):
        raise error
    request.scope["attnmass"]["error_type"] = error.kind
    return error_answer(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the router says about paths and methods that do not exist."""
    if not isinstance(error, HTTPException):
        raise error
    kind = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    message = f"{request.method} {request.url.path}: {error.detail}"
    told = HttpError(error.status_code, kind, message, error.headers)
    return await _on_http_error(request, told)


async def _on_gone(request: Request, _: Exception) -> Response:
    """Nobody reads it; the status is for logs and metrics."""
    request.scope["attnmass"]["error_type"] = "client_left"
    return Response(status_code=499)
