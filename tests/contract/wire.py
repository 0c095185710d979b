"""The adapters over the wire: a ranker of a test behind a server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from attnmass import AttentionRanker
from attnmass.serving.app import make_app
from attnmass.serving.options import ServingOptions
from attnmass.serving.server import listen
from attnmass.serving.service import Service
from tests.contract.adapters import TELLING, LangChainAdapter, LlamaIndexAdapter
from tests.serving.conftest import until


@contextmanager
def served(ranker: Any, **options: Any) -> Iterator[str]:
    """The URL of a server that has this ranker."""
    service = Service(lambda: ranker, ServingOptions(port=0, **options))
    listener = listen(service.options)
    config = uvicorn.Config(make_app(service), log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until(lambda: service.worker.is_ready)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


class _Served:
    """The adapter's class, whose `from_ranker` has a server between."""

    def __init__(self, kind: Any, url: Any) -> None:
        self._kind = kind
        self._url = url

    def __call__(self, **fields: Any) -> Any:
        return self._kind(**fields)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)

    def from_ranker(self, ranker: AttentionRanker, **fields: Any) -> Any:
        """A reranker that asks a server which has this ranker."""
        return self._kind(model=self._url(ranker), **fields)


class _OverTheWire:
    """Mixed into an adapter."""

    is_remote = True

    def serve(self, url: Any) -> None:
        """Have rankers served, by a function from one to its URL."""
        self.Rerank = _Served(self.Rerank, url)

    def telling(self, ranker: Any, **fields: Any) -> Any:
        """A reranker that tells all."""
        return self.Rerank.from_ranker(ranker, **{**TELLING, **fields})


class RemoteLlamaIndex(_OverTheWire, LlamaIndexAdapter):
    """Nodes with scores."""


class RemoteLangChain(_OverTheWire, LangChainAdapter):
    """Documents whose metadata has the score."""
