"""An index, an LLM that repeats its prompt, and handlers that record what happened."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import NodeWithScore, TextNode

from llama_index_attn import AttentionTrimEvent

TEXTS = (
    "The river runs through the city.",
    "Albert Einstein developed the theory of relativity in 1905.",
    "Trains, books and music are made of words.",
    "A physicist is relevant to the query.",
    "Numbers are in the paragraphs about the theory.",
)
QUERY = "Who developed the theory of relativity?"


class WordEmbedding(BaseEmbedding):
    """Counts hashed words: texts that share words are near."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = [1e-3] * 64
        for word in re.findall(r"\w+", text.lower()):
            vector[zlib.crc32(word.encode()) % 64] += 1.0
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class Recorder(BaseEventHandler):
    """Remembers rerank events."""

    events: list[Any] = []  # noqa: RUF012 - a pydantic field

    def handle(self, event: Any, **kwargs: Any) -> None:
        """Remember."""
        if isinstance(event, ReRankStartEvent | ReRankEndEvent):
            self.events.append(event)

    @property
    def names(self) -> list[str]:
        """What happened, in order."""
        return [event.class_name() for event in self.events]


class TrimRecorder(Recorder):
    """Remembers all events of reranking, ours among them."""

    def handle(self, event: Any, **kwargs: Any) -> None:
        """Remember."""
        super().handle(event)
        if isinstance(event, AttentionTrimEvent):
            self.events.append(event)


class Callbacks(BaseCallbackHandler):
    """Remembers the callbacks of reranking, and which of them belong together."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.calls: list[tuple[str, Any, str]] = []

    def on_event_start(
        self, event_type: Any, payload: Any = None, event_id: str = "", *args: Any, **kwargs: Any
    ) -> str:
        """Remember."""
        if event_type == CBEventType.RERANKING:
            self.calls.append(("start", payload, event_id))
        return event_id

    def on_event_end(
        self, event_type: Any, payload: Any = None, event_id: str = "", **kwargs: Any
    ) -> None:
        """Remember."""
        if event_type == CBEventType.RERANKING:
            self.calls.append(("end", payload, event_id))

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing to do."""

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None:
        """Nothing to do."""

    @property
    def manager(self) -> CallbackManager:
        """A manager with this handler."""
        return CallbackManager([self])


@contextmanager
def listening(handler: Recorder) -> Iterator[None]:
    """Listen at the root of the instrumentation."""
    root = get_dispatcher()
    root.add_event_handler(handler)
    yield
    root.event_handlers.remove(handler)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Hears of reranking."""
    with listening(handler := Recorder(events=[])):
        yield handler


@pytest.fixture
def trims() -> Iterator[TrimRecorder]:
    """Hears of reranking and of trimming."""
    with listening(handler := TrimRecorder(events=[])):
        yield handler


@pytest.fixture
def nodes() -> list[NodeWithScore]:
    """Five candidates."""
    return [
        NodeWithScore(node=TextNode(text=text, id_=f"id-{place}"), score=0.9 - 0.1 * place)
        for place, text in enumerate(TEXTS)
    ]


@pytest.fixture
def index() -> VectorStoreIndex:
    """The same five texts in a vector index."""
    found = [TextNode(text=text, id_=f"id-{place}") for place, text in enumerate(TEXTS)]
    return VectorStoreIndex(found, embed_model=WordEmbedding())


@pytest.fixture
def tiny_profile(tiny_folder: Path, tmp_path: Path) -> str:
    """A head profile of the tiny model, as a file."""
    from attnmass import HeadProfile
    from tests.conftest import HEADS

    profile = HeadProfile.from_heads(HEADS, model=str(tiny_folder), layout="parallel")
    path = tmp_path / "heads.json"
    path.write_text(profile.to_json(), encoding="utf-8")
    return str(path)
