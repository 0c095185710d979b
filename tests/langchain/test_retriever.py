"""The retriever over other retrievers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests

from langchain_attn import AttentionRerank, AttentionRetriever
from tests.conftest import HEADS
from tests.langchain.stores import filled
from tests.langchain.support import (
    QUERY,
    CountingHandler,
    ListRetriever,
    StubbornRetriever,
    fake,
    make_documents,
    word_ranker,
)
from tests.tiny import tiny_model, tiny_tokenizer


class TestStandard(RetrieversIntegrationTests):
    """What LangChain expects of every retriever."""

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        """The class."""
        return AttentionRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        """A vector store's retriever and a tiny model."""
        rerank = AttentionRerank.from_model(tiny_model(), tiny_tokenizer(), heads=HEADS)
        return {"retriever": filled(InMemoryVectorStore).as_retriever(), "rerank": rerank}

    @property
    def retriever_query_example(self) -> str:
        """A query."""
        return QUERY


class TestCallbacks:
    """What a tracer sees."""

    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_children(self, store: InMemoryVectorStore, asynchronous: bool) -> None:
        """The wrapped retriever and the reranker are child runs, each started and ended once."""
        handler = CountingHandler()
        retriever = AttentionRetriever(
            retriever=store.as_retriever(), rerank=fake(), tags=["outer"]
        )
        if asynchronous:
            await retriever.ainvoke(QUERY, {"callbacks": [handler]})
        else:
            retriever.invoke(QUERY, {"callbacks": [handler]})
        assert handler.counts == {
            "retriever start": 2,
            "retriever end": 2,
            "chain start": 1,
            "chain end": 1,
        }
        assert handler.edges() == {
            ("AttentionRetriever", None),
            ("VectorStoreRetriever", "AttentionRetriever"),
            ("AttentionRerank", "AttentionRetriever"),
        }
        assert "outer" in handler.tags["AttentionRetriever"]

    def test_errors_are_balanced(self, store: InMemoryVectorStore) -> None:
        """A failure ends every run that it passes through."""
        handler = CountingHandler()
        rerank = fake(word_ranker(error=RuntimeError("broken")))
        with pytest.raises(RuntimeError):
            AttentionRetriever(retriever=store.as_retriever(), rerank=rerank).invoke(
                QUERY, {"callbacks": [handler]}
            )
        assert handler.counts == {
            "retriever start": 2,
            "retriever end": 1,
            "retriever error": 1,
            "chain start": 1,
            "chain error": 1,
        }

    async def test_async_equals_sync(
        self, store: InMemoryVectorStore, rerank: AttentionRerank
    ) -> None:
        """The asynchronous retriever gives what the synchronous one gives."""
        retriever = AttentionRetriever(retriever=store.as_retriever(), rerank=rerank)
        assert await retriever.ainvoke(QUERY) == retriever.invoke(QUERY)


def test_the_last_ranking_is_told() -> None:
    """The retriever has the ranking of its last call, though a copy of its reranker made it."""
    retriever = AttentionRetriever(
        retriever=StubbornRetriever(documents=make_documents()), rerank=fake(keep_ranking=True)
    )
    assert retriever.last_ranking is None
    for k in (1, 3):
        retriever.invoke(QUERY, k=k)
        assert retriever.last_ranking is retriever.rerank.last_ranking
        assert retriever.last_ranking is not None
        assert len(retriever.last_ranking.chunks) == k
    asyncio.run(retriever.ainvoke("What is old?"))
    assert retriever.last_ranking.query == "What is old?"


class TestAssignment:
    """Fields that are set later."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("k", 0),
            ("k", 21),
            ("k", "many"),
            ("fetch_k", 4),
            ("fetch_k", 0),
            ("rerank", None),
            ("retriever", "a store"),
            ("top_k", 3),
        ],
    )
    def test_what_is_refused_changes_nothing(self, name: str, value: Any) -> None:
        """An assignment is held to what the constructor is, and a refused one is not kept."""
        retriever = AttentionRetriever(retriever=ListRetriever(documents=[]), rerank=fake())
        before, known = dict(vars(retriever)), set(retriever.model_fields_set)
        with pytest.raises(ValueError, match=name):
            setattr(retriever, name, value)
        assert vars(retriever) == before
        assert retriever.model_fields_set == known

    def test_what_is_right_is_kept(self, documents: list[Document]) -> None:
        """A new number counts from the next call on."""
        source = StubbornRetriever(documents=documents)
        retriever = AttentionRetriever(retriever=source, rerank=fake())
        retriever.k = 2
        assert len(retriever.invoke(QUERY)) == 2
        retriever.fetch_k = 2
        retriever.rerank = fake(top_n=1)
        assert (len(retriever.invoke(QUERY)), retriever.k) == (2, 2)


@pytest.mark.parametrize("found", [None, 5, "text", {"a": 1}, iter([]), ["text"], [None]])
def test_what_gives_no_documents_is_told(found: Any) -> None:
    """A runnable that gives something else than a list of documents is an error that says so."""
    retriever = AttentionRetriever(retriever=RunnableLambda(lambda query: found))
    with pytest.raises(TypeError, match=r"what the retriever gave.*must be a.*Document"):
        retriever.invoke("Who?")
    with pytest.raises(TypeError, match=r"what the retriever gave.*must be a.*Document"):
        asyncio.run(retriever.ainvoke("Who?"))
