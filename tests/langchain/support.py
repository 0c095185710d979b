"""What the tests of the LangChain adapter share: documents, a ranker, a counting handler."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from attnmass import Chunk
from langchain_attn import AttentionRerank
from tests.contract.stub import StubRanker

TEXTS = [
    "The river runs through the city.",
    "Albert Einstein developed the theory of relativity in 1905.",
    "Trains run late in winter.",
    "Music is made of notes and rests.",
    "The theory of music is old.",
    "Books are made of words.",
    "Numbers are older than books.",
    "Winter is cold.",
]
QUERY = "Who developed the theory of relativity?"


def plain(documents: list[Document]) -> list[dict[str, Any]]:
    """Everything about documents, detached from them."""
    return copy.deepcopy([document.model_dump() for document in documents])


def make_documents() -> list[Document]:
    """Eight documents with ids, nested metadata and a falling retrieval score."""
    return [
        Document(text, id=f"id-{place}", metadata={"title": f"T{place}", "nested": {"at": [place]}})
        for place, text in enumerate(TEXTS)
    ]


def word_share(chunk: Chunk) -> float:
    """The share of the query's words that are in a chunk."""
    words = set(QUERY.lower().split())
    return len(words & set(chunk.text.lower().split())) / len(words)


def word_ranker(**options: Any) -> StubRanker:
    """A ranker that scores by shared words; can be slow, or fail."""
    return StubRanker(word_share, **options)


def fake(ranker: StubRanker | None = None, **fields: Any) -> AttentionRerank:
    """An adapter over a ranker without a model."""
    told = {"add_scores": True, **fields}
    return AttentionRerank.from_ranker(ranker or word_ranker(), **told)  # type: ignore[arg-type]


class CountingHandler(BaseCallbackHandler):
    """Counts starts, ends and errors of runs, and remembers their names and parents."""

    def __init__(self) -> None:
        """Nothing ran yet."""
        self.counts: Counter[str] = Counter()
        self.names: dict[Any, str] = {}
        self.parents: dict[Any, Any] = {}
        self.tags: dict[str, list[str]] = {}
        self.prompts: list[str] = []

    def _start(self, kind: str, run_id: Any, parent_run_id: Any, fields: dict[str, Any]) -> None:
        self.counts[f"{kind} start"] += 1
        self.names[run_id] = fields.get("name") or kind
        self.parents[run_id] = parent_run_id
        self.tags[self.names[run_id]] = fields.get("tags") or []

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: Any, parent_run_id: Any = None, **fields: Any
    ) -> None:
        """Count."""
        self._start("chain", run_id, parent_run_id, fields)

    def on_chain_end(self, outputs: Any, **fields: Any) -> None:
        """Count."""
        self.counts["chain end"] += 1

    def on_chain_error(self, error: BaseException, **fields: Any) -> None:
        """Count."""
        self.counts["chain error"] += 1

    def on_retriever_start(
        self, serialized: Any, query: str, *, run_id: Any, parent_run_id: Any = None, **fields: Any
    ) -> None:
        """Count."""
        self._start("retriever", run_id, parent_run_id, fields)

    def on_retriever_end(self, documents: Any, **fields: Any) -> None:
        """Count."""
        self.counts["retriever end"] += 1

    def on_retriever_error(self, error: BaseException, **fields: Any) -> None:
        """Count."""
        self.counts["retriever error"] += 1

    def on_chat_model_start(self, serialized: Any, messages: Any, **fields: Any) -> None:
        """Remember what the model was asked."""
        self.prompts.append(messages[0][0].content)

    def edges(self) -> set[tuple[str, str | None]]:
        """`(run, its parent)` by name."""
        return {(name, self.names.get(self.parents[run_id])) for run_id, name in self.names.items()}


class ListRetriever(BaseRetriever):
    """Gives the same documents to every query, the first `k`."""

    documents: list[Document]
    k: int = 2

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return self.documents[: self.k]


class StubbornRetriever(BaseRetriever):
    """Gives all its documents to every query."""

    documents: list[Document]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return self.documents
