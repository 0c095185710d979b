"""The retriever over others whose scores are fused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_attn import AttentionRetriever, details
from tests.langchain.stores import (
    DistanceStore,
    RelevanceOnlyStore,
    RelevanceStore,
    ScorelessStore,
    filled,
)
from tests.langchain.support import QUERY, CountingHandler, fake


class TestFuse:
    """Scores for fusing."""

    @pytest.mark.parametrize(
        "kind", [InMemoryVectorStore, DistanceStore, RelevanceStore, RelevanceOnlyStore]
    )
    async def test_store_gives_scores(self, kind: type[InMemoryVectorStore]) -> None:
        """Documents of a vector store get its score, higher for the better, sync and async."""
        store = filled(kind)
        retriever = AttentionRetriever(retriever=store.as_retriever(), rerank=fake(fuse=1.0), k=8)
        expected = [document.id for document in store.similarity_search(QUERY, k=8)]
        found = retriever.invoke(QUERY)
        assert [document.id for document in found] == expected
        scores = [details(document)["retrieval_score"] for document in found]
        assert scores == sorted(scores, reverse=True)
        assert len(set(scores)) > 1
        assert [document.id for document in await retriever.ainvoke(QUERY)] == expected

    async def test_scores_are_the_stores_own(self) -> None:
        """Cosines are passed on as they are, which no store's scale for relevance has changed."""
        retriever = AttentionRetriever(
            retriever=filled(RelevanceStore).as_retriever(),
            rerank=fake(add_scores=True, fuse=1.0),
            k=8,
            fetch_k=8,
        )
        known = filled(InMemoryVectorStore).similarity_search_with_score(QUERY, k=8)
        for found in (retriever.invoke(QUERY), await retriever.ainvoke(QUERY)):
            scores = [details(document)["retrieval_score"] for document in found]
            assert scores == pytest.approx([score for _, score in known])

    @pytest.mark.parametrize(
        ("store", "kind", "instead"),
        [
            (InMemoryVectorStore, "similarity", None),
            (InMemoryVectorStore, "distance", "similarity"),
            (DistanceStore, "distance", None),
            (DistanceStore, "similarity", "distance"),
        ],
    )
    async def test_scores_are_what_the_user_says(
        self, store: type[InMemoryVectorStore], kind: Any, instead: str | None
    ) -> None:
        """Nothing is turned twice, and what is said wrongly of a store is an error."""
        filled_one = filled(store)
        retriever = AttentionRetriever(
            retriever=filled_one.as_retriever(),
            rerank=fake(fuse=1.0, retrieval_kind=kind, add_scores=True),
            k=8,
        )
        if instead is not None:
            with pytest.raises(ValueError, match=f"pass retrieval_kind='{instead}'"):
                retriever.invoke(QUERY)
            with pytest.raises(ValueError, match=f"pass retrieval_kind='{instead}'"):
                await retriever.ainvoke(QUERY)
            return
        known = filled_one.similarity_search_with_score(QUERY, k=8)
        for found in (retriever.invoke(QUERY), await retriever.ainvoke(QUERY)):
            assert [document.id for document in found] == [document.id for document, _ in known]
            scores = [details(document)["retrieval_score"] for document in found]
            assert scores == pytest.approx([score for _, score in known])

    def test_scores_of_the_documents_are_kept(self, documents: list[Document]) -> None:
        """Documents that bring a score keep it."""
        for place, document in enumerate(documents):
            document.metadata["bm25"] = place
        store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
        store.add_documents(documents)
        rerank = fake(fuse=1.0, score_key="bm25")
        found = AttentionRetriever(retriever=store.as_retriever(), rerank=rerank, k=2).invoke(QUERY)
        assert [document.id for document in found] == ["id-7", "id-6"]

    async def test_store_without_scores(self) -> None:
        """A store that knows no scores leads to the error that says where they are missed."""
        retriever = AttentionRetriever(
            retriever=filled(ScorelessStore).as_retriever(), rerank=fake(fuse=0.5)
        )
        with pytest.raises(ValueError, match="'relevance_score'"):
            retriever.invoke(QUERY)
        with pytest.raises(ValueError, match="'relevance_score'"):
            await retriever.ainvoke(QUERY)

    def test_stored_documents_do_not_change(self) -> None:
        """The store's own metadata never gets a score."""
        store = filled(InMemoryVectorStore)
        before = copy.deepcopy(store.store)
        AttentionRetriever(retriever=store.as_retriever(), rerank=fake(fuse=0.5)).invoke(QUERY)
        assert store.store == before

    @pytest.mark.parametrize("fuse", [None, 0.5])
    def test_run_of_the_wrapped(self, fuse: float | None) -> None:
        """The wrapped retriever's run has its name and tags, with scores or without."""
        handler = CountingHandler()
        source = filled(InMemoryVectorStore).as_retriever(tags=["mine"])
        AttentionRetriever(retriever=source, rerank=fake(fuse=fuse)).invoke(
            QUERY, {"callbacks": [handler]}
        )
        assert "mine" in handler.tags["VectorStoreRetriever"]
