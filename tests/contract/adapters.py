"""Each framework's way to build candidates, to rerank them, and to read the result back."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from attnmass import Chunk
from tests.contract.stub import split

TELLING = {"add_scores": True, "keep_original": True}


@dataclass(frozen=True)
class Candidate:
    """What a retriever found, or what a reranker returned."""

    text: str
    score: float | None = None
    id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    offset: int | None = None

    @property
    def hidden(self) -> dict[str, Any]:
        """What the adapter added."""
        return dict(json.loads(self.metadata["attnmass"]))


class Adapter(Protocol):
    """One framework; `Rerank` and `Warmer` are the adapter's, native objects are its own.

    `own_keys` are what it adds to the hidden key beside what all add, and `is_remote` is whether
    its rankers are behind a server.
    """

    Rerank: Any
    Warmer: Any
    own_keys: frozenset[str]
    is_remote: bool

    def telling(self, ranker: Any, **fields: Any) -> Any:
        """A reranker whose metadata tell all that they can."""

    def build(self, candidates: Sequence[Candidate]) -> list[Any]:
        """Native candidates."""

    def read(self, found: Sequence[Any]) -> list[Candidate]:
        """Plain candidates."""

    def visible(self, found: Any) -> list[str]:
        """What an LLM or an embedder is shown of a native candidate; the LLM's first."""

    def offset(self, found: Any) -> int | None:
        """Where a native candidate says that its text begins in its parent."""

    def count(self, text: str) -> int:
        """Tokens by the tokenizer that is the default over a stub."""

    def restore(self, found: Any) -> Any:
        """Undo."""

    def details(self, found: Any) -> dict[str, Any]:
        """Read what was added."""

    def cite(self, found: Sequence[Any], marker: str | None = None) -> Any:
        """Number."""

    def attribute(self, query: str, found: Sequence[Any], answer: Any, **options: Any) -> Any:
        """Attribute an answer that was made from native candidates."""

    def retriever(self, found: Sequence[Any], rerank: Any) -> Any:
        """From a query to what the adapter's retriever makes of these candidates."""

    def run(self, rerank: Any, found: Sequence[Any], query: str) -> list[Any]:
        """Rerank."""

    async def arun(self, rerank: Any, found: Sequence[Any], query: str) -> list[Any]:
        """Rerank from an event loop."""

    def stored(self, found: Sequence[Any]) -> list[Any]:
        """What an index is built of, that these were found in."""

    def ingest(self, warmer: Any, stored: Sequence[Any]) -> Sequence[Any]:
        """Run the warmer as a step of ingestion."""

    async def aingest(self, warmer: Any, stored: Sequence[Any]) -> Sequence[Any]:
        """Run it from an event loop."""


class InProcess:
    """What is named alike in both packages, with rankers of this process."""

    is_remote = False

    def __init__(self, package: str, *, needs: str, own_key: str) -> None:
        pytest.importorskip(needs)
        self._package = importlib.import_module(package)
        self.Rerank = self._package.AttentionRerank
        self.Warmer = self._package.AttentionWarmer
        self.restore = self._package.restore
        self.details = self._package.details
        self.own_keys = frozenset({own_key})

    def telling(self, ranker: Any, **fields: Any) -> Any:
        """A reranker that tells all."""
        return self.Rerank.from_ranker(ranker, **TELLING, **fields)

    def cite(self, found: Sequence[Any], marker: str | None = None) -> Any:
        """Number."""
        return self._package.cite(found, marker=marker)


class LlamaIndexAdapter(InProcess):
    """Nodes with scores."""

    def __init__(self) -> None:
        super().__init__("llama_index_attn", needs="llama_index.core", own_key="hidden_from")

    def attribute(self, query: str, found: Sequence[Any], answer: Any, **options: Any) -> Any:
        """A response with source nodes."""
        from llama_index.core.base.response.schema import Response

        response = Response(answer, source_nodes=list(found))
        return self._package.attribute(response, query, **options)

    def build(self, candidates: Sequence[Candidate]) -> list[Any]:
        """Native candidates."""
        from llama_index.core.schema import NodeWithScore, TextNode

        found = []
        for candidate in candidates:
            named = {} if candidate.id is None else {"id_": candidate.id}
            if candidate.offset is not None:
                end = candidate.offset + len(candidate.text)
                named |= {"start_char_idx": candidate.offset, "end_char_idx": end}
            node = TextNode(text=candidate.text, metadata=dict(candidate.metadata), **named)
            found.append(NodeWithScore(node=node, score=candidate.score))
        return found

    def read(self, found: Sequence[Any]) -> list[Candidate]:
        """Plain candidates."""
        return [
            Candidate(item.node.get_content(), item.score, item.node.node_id, item.node.metadata)
            for item in found
        ]

    def visible(self, found: Any) -> list[str]:
        """What models are shown."""
        from llama_index.core.schema import MetadataMode

        return [found.node.get_content(mode) for mode in (MetadataMode.LLM, MetadataMode.EMBED)]

    def offset(self, found: Any) -> int | None:
        """Where the text begins in the parent."""
        return found.node.start_char_idx

    def count(self, text: str) -> int:
        """Tokens of LlamaIndex's own tokenizer."""
        from llama_index.core.utils import get_tokenizer

        return len(get_tokenizer()(text))

    def retriever(self, found: Sequence[Any], rerank: Any) -> Any:
        """`retrieve`."""
        from tests.llama_index.test_retriever import ListRetriever

        return self._package.AttentionRetriever(ListRetriever(list(found)), rerank=rerank).retrieve

    def run(self, rerank: Any, found: Sequence[Any], query: str) -> list[Any]:
        """Rerank."""
        return rerank.postprocess_nodes(found, query_str=query)

    async def arun(self, rerank: Any, found: Sequence[Any], query: str) -> list[Any]:
        """Rerank from an event loop."""
        return await rerank.apostprocess_nodes(found, query_str=query)

    def stored(self, found: Sequence[Any]) -> list[Any]:
        """What an index is built of."""
        return [item.node for item in found]

    def ingest(self, warmer: Any, stored: Sequence[Any]) -> Sequence[Any]:
        """Run the warmer."""
        return warmer(stored)

    async def aingest(self, warmer: Any, stored: Sequence[Any]) -> Sequence[Any]:
        """Run it from an event loop."""
        return await warmer.acall(stored)


class LangChainAdapter(InProcess):
    """Documents whose metadata has the score."""

    def __init__(self) -> None:
        super().__init__("langchain_attn", needs="langchain_core", own_key="score_before")

    def attribute(self, query: str, found: Sequence[Any], answer: Any, **options: Any) -> Any:
        """What a retrieval chain returns."""
        result = {"input": query, "context": list(found), "answer": answer}
        return self._package.attribute(result, **options)

    def build(self, candidates: Sequence[Candidate]) -> list[Any]:
        """Native candidates."""
        from langchain_core.documents import Document

        found = []
        for candidate in candidates:
            scored = {} if candidate.score is None else {"relevance_score": candidate.score}
            if candidate.offset is not None:
                scored["start_index"] = candidate.offset
            metadata = {**candidate.metadata, **scored}
            found.append(Document(candidate.text, id=candidate.id, metadata=metadata))
        return found

    def read(self, found: Sequence[Any]) -> list[Candidate]:
        """Plain candidates."""
        return [
            Candidate(
                item.page_content, item.metadata.get("relevance_score"), item.id, item.metadata
            )
            for item in found
        ]

    def visible(self, found: Any) -> list[str]:
        """What models are shown."""
        from langchain_core.prompts import PromptTemplate, format_document

        return [format_document(found, PromptTemplate.from_template("{page_content}"))]

    def offset(self, found: Any) -> int | None:
        """Where the text begins in the parent."""
        return found.metadata.get("start_index")

    def count(self, text: str) -> int:
        """Words, as the stub's model reads them."""
        return len(split(Chunk(text)))

    def retriever(self, found: Sequence[Any], rerank: Any) -> Any:
        """`invoke`."""
        from tests.langchain.support import StubbornRetriever

        source = StubbornRetriever(documents=list(found))
        return self._package.AttentionRetriever(retriever=source, rerank=rerank).invoke

    def run(self, rerank: Any, found: Sequence[Any], query: str) -> list[Any]:
        """Rerank."""
        return list(rerank.compress_documents(found, query))

    async def arun(self, rerank: Any, found: Sequence[Any], query: str) -> list[Any]:
        """Rerank from an event loop."""
        return list(await rerank.acompress_documents(found, query))

    def stored(self, found: Sequence[Any]) -> list[Any]:
        """What an index is built of."""
        return list(found)

    def ingest(self, warmer: Any, stored: Sequence[Any]) -> Sequence[Any]:
        """Run the warmer."""
        return warmer.transform_documents(stored)

    async def aingest(self, warmer: Any, stored: Sequence[Any]) -> Sequence[Any]:
        """Run it from an event loop."""
        return await warmer.atransform_documents(stored)
