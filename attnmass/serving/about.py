"""Routes that report on the server itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from attnmass.serving.answers import Json, page_answer
from attnmass.serving.service import Service

# Clients cut texts to this length before they send them; here, long ones are read in windows.
_NO_LIMIT = 1_000_000


def health(service: Service) -> Response:
    """Alive, however many requests wait; no longer once the model's thread has ended."""
    alive = service.worker.is_alive
    return Json({"status": "ok" if alive else "dead"}, 200 if alive else 503)


def ready(service: Service) -> Response:
    """Whether requests are taken.

    Raises:
        TryLater: If they are not; says why.
    """
    service.worker.check_ready()
    return Json({"status": "ready", "model": service.model})


def models(service: Service) -> Response:
    """The one model, in OpenAI's list format."""
    model = {"id": service.model, "object": "model", "created": 0, "owned_by": "attnmass"}
    return Json({"object": "list", "data": [model]})


def info(service: Service) -> Response:
    """What TEI's clients look at: that it is a reranker, and how much they may send."""
    return Json(
        {
            "model_id": service.model,
            "model_sha": None,
            "model_dtype": "float32",
            "model_type": {"reranker": {"id2label": {}, "label2id": {}}},
            "max_concurrent_requests": service.options.queue_size,
            "max_input_length": _NO_LIMIT,
            "max_batch_tokens": _NO_LIMIT,
            "max_batch_requests": service.options.batch_requests,
            "max_client_batch_size": service.options.max_documents,
            "auto_truncate": False,
            "tokenization_workers": 1,
            "version": version("attnmass"),
            "sha": None,
            "docker_label": None,
        }
    )


def ranker(service: Service) -> Response:
    """Which ranker is served, for clients of this package."""
    return Json(service.identity.told)


def tokenizer(service: Service) -> Response:
    """The model's tokenizer, which counts what is sent to readers that name none."""
    return Response(service.identity.tokenizer, media_type="application/json")


def stats(service: Service) -> Response:
    """What the ranker has done since it was loaded, for all that asked."""
    return Json(asdict(service.ranker.stats))


def docs(schema: Mapping[str, Any]) -> Response:
    """The routes with their examples, on a page that fetches nothing."""
    environment = Environment(
        loader=PackageLoader("attnmass.serving", ""), autoescape=True, undefined=StrictUndefined
    )
    routes = [
        {
            "path": path,
            "method": method.upper(),
            "summary": told["summary"],
            "examples": [
                (name, json.dumps(example["value"], indent=2))
                for name, example in _examples(told).items()
            ],
        }
        for path, methods in schema["paths"].items()
        for method, told in methods.items()
    ]
    template = environment.get_template("docs.html")
    return page_answer(template.render(info=schema["info"], routes=routes))


def _examples(told: Mapping[str, Any]) -> Mapping[str, Any]:
    content = told.get("requestBody", {}).get("content", {})
    found: Mapping[str, Any] = content.get("application/json", {}).get("examples", {})
    return found
