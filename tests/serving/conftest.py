"""A server over a tiny model that remembers what it was asked, and waits where a test says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient

from attnmass import AttentionRanker, Chunk, Ranking
from attnmass.serving.app import make_app
from attnmass.serving.options import ServingOptions
from attnmass.serving.service import Service

QUERY = "Where was Einstein born?"
TEXTS = ["Trains to Munich leave hourly.", "Einstein was born in Ulm. He sailed.", "It rains."]


class Watched:
    """A ranker that remembers the queries of each call.

    Attributes:
        calls: The queries of each call of the model that ranked.
        gate: What a call waits for before it runs.
        error: What it raises instead, by a word of the query.
        warmed: How many chunks each call read ahead.
    """

    def __init__(self, ranker: AttentionRanker) -> None:
        self._ranker = ranker
        self.calls: list[list[str]] = []
        self.warmed: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.error: dict[str, BaseException] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ranker, name)

    def rank_batch(
        self, queries: Sequence[str], chunks: Sequence[Chunk], **options: Any
    ) -> list[Ranking]:
        """As the real one's, once the gate is open."""
        self.calls.append(list(queries))
        self.entered.release()
        assert self.gate.wait(30)
        for word, error in self.error.items():
            if any(word in query for query in queries):
                raise error
        return self._ranker.rank_batch(queries, chunks, **options)

    def warm(self, chunks: Sequence[Chunk], **options: Any) -> Any:
        """As the real one's."""
        self.warmed.append(len(chunks))
        return self._ranker.warm(chunks, **options)


@pytest.fixture
def watched(ranker: AttentionRanker) -> Watched:
    """The tiny ranker, watched."""
    return Watched(ranker)


Serve = Callable[..., Any]


@contextmanager
def serving(watched: Any, **options: Any) -> Iterator[TestClient]:
    """A client of a server that is ready."""
    service = Service(lambda: watched, ServingOptions(**options))
    with TestClient(make_app(service), raise_server_exceptions=True) as client:
        client.service = service  # type: ignore[attr-defined]
        until(lambda: service.worker.is_ready)
        yield client


@pytest.fixture
def client(watched: Watched) -> Iterator[TestClient]:
    """A client of a server with its defaults."""
    with serving(watched) as found:
        yield found


def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)
