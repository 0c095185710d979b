"""The retriever over other retrievers."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests
from pydantic import ValidationError

from langchain_attn import AttentionRerank, AttentionRetriever, details
from tests.conftest import HEADS
from tests.langchain.support import (
    QUERY,
    TEXTS,
    CountingHandler,
    ListRetriever,
    StubbornRetriever,
    fake,
    make_documents,
    word_ranker,
)
from tests.tiny import tiny_model, tiny_tokenizer


class DistanceStore(InMemoryVectorStore):
    """A store whose scores are distances: the best has the lowest."""

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Distances instead of similarities."""
        found = super().similarity_search_with_score(query, k, **kwargs)
        return [(document, 1 - score) for document, score in found]

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Distances instead of similarities."""
        return self.similarity_search_with_score(query, k, **kwargs)


class RelevanceStore(InMemoryVectorStore):
    """A store that brings its scores onto a scale of its own where that is asked for."""

    def _select_relevance_score_fn(self) -> Any:
        return lambda score: (1 + score) / 2


class RelevanceOnlyStore(RelevanceStore):
    """One that tells its scores on that scale alone."""

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The documents alone."""
        return self.similarity_search_by_vector(self.embedding.embed_query(query), k, **kwargs)

    def similarity_search_with_score(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing to tell."""
        raise NotImplementedError

    async def asimilarity_search_with_score(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing to tell."""
        raise NotImplementedError

    def similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Its similarities, halved and lifted."""
        vector = self.embedding.embed_query(query)
        found = self.similarity_search_with_score_by_vector(vector, k)
        return [(document, (1 + score) / 2) for document, score in found]

    async def asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same."""
        return self.similarity_search_with_relevance_scores(query, k, **kwargs)


class ScorelessStore(InMemoryVectorStore):
    """A store that knows no scores."""

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The documents alone."""
        return self.similarity_search_by_vector(self.embedding.embed_query(query), k, **kwargs)

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The documents alone."""
        return self.similarity_search(query, k, **kwargs)

    def similarity_search_with_score(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing to tell."""
        raise NotImplementedError

    async def asimilarity_search_with_score(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing to tell."""
        raise NotImplementedError


def filled(kind: type[InMemoryVectorStore]) -> InMemoryVectorStore:
    """A store with the documents."""
    store = kind(DeterministicFakeEmbedding(size=8))
    store.add_documents(make_documents())
    return store


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


class TestCounts:
    """How many are fetched and returned."""

    def test_vector_store_is_asked_for_more(self, store: InMemoryVectorStore) -> None:
        """A vector store's retriever fetches fetch_k, and its own settings stay as they are."""
        source = store.as_retriever(search_kwargs={"k": 2})
        ranker = word_ranker()
        found = AttentionRetriever(retriever=source, rerank=fake(ranker), fetch_k=6, k=3).invoke(
            QUERY
        )
        assert len(ranker.read) == 6
        assert len(found) == 3
        assert source.search_kwargs == {"k": 2}

    def test_k_field_is_raised(self, documents: list[Document]) -> None:
        """A retriever with a field k fetches fetch_k through a copy."""
        source, ranker = ListRetriever(documents=documents, k=2), word_ranker()
        AttentionRetriever(retriever=source, rerank=fake(ranker), fetch_k=7).invoke(QUERY)
        assert len(ranker.read) == 7
        assert source.k == 2

    def test_others_are_cut(self, documents: list[Document]) -> None:
        """What a retriever gives beyond fetch_k is not read."""
        ranker = word_ranker()
        source = StubbornRetriever(documents=documents)
        AttentionRetriever(retriever=source, rerank=fake(ranker), fetch_k=6).invoke(QUERY)
        assert ranker.read == TEXTS[:6]

    def test_any_runnable(self, documents: list[Document]) -> None:
        """A function from query to documents can be wrapped."""
        source = RunnableLambda(lambda query: documents)
        found = AttentionRetriever(retriever=source, rerank=fake(), k=1).invoke(QUERY)
        assert [document.id for document in found] == ["id-1"]

    def test_k_at_call(self, documents: list[Document]) -> None:
        """A call's k beats the constructor's, and fetches no fewer than it returns."""
        source, ranker = ListRetriever(documents=documents), word_ranker()
        retriever = AttentionRetriever(retriever=source, rerank=fake(ranker), fetch_k=2, k=1)
        assert len(retriever.invoke(QUERY)) == 1
        assert len(retriever.invoke(QUERY, k=4)) == 4
        assert len(ranker.read) == 4
        assert len(retriever.invoke(QUERY, fetch_k=8)) == 1
        assert len(ranker.read) == 8
        assert retriever.k == 1

    def test_k_defaults_to_top_n(self, documents: list[Document]) -> None:
        """Without k the reranker's top_n counts, and a given k beats it."""
        source = ListRetriever(documents=documents)
        rerank = fake(top_n=3)
        assert len(AttentionRetriever(retriever=source, rerank=rerank).invoke(QUERY)) == 3
        assert len(AttentionRetriever(retriever=source, rerank=rerank, k=4).invoke(QUERY)) == 4
        assert rerank.top_n == 3

    def test_unlimited_top_n(self, documents: list[Document]) -> None:
        """With top_n=None all that were fetched are returned."""
        source = ListRetriever(documents=documents)
        retriever = AttentionRetriever(retriever=source, rerank=fake(top_n=None), fetch_k=7)
        assert len(retriever.invoke(QUERY)) == 7

    @pytest.mark.parametrize(
        "fields", [{"k": 0}, {"fetch_k": 0}, {"top_n": 0}, {"similarity_top_k": 3}]
    )
    def test_bad_fields(self, documents: list[Document], fields: dict[str, Any]) -> None:
        """Unknown and invalid fields fail at construction."""
        with pytest.raises(ValidationError, match=next(iter(fields))):
            AttentionRetriever(retriever=ListRetriever(documents=documents), **fields)

    def test_fields_of_the_reranker(self, documents: list[Document]) -> None:
        """Fields of a reranker stand for one, as in LlamaIndex, and `top_n` beside it is `k`."""
        source = ListRetriever(documents=documents)
        made = AttentionRetriever(retriever=source, fetch_k=9, top_n=3, max_tokens=80)
        assert made.rerank == AttentionRerank(top_n=3, max_tokens=80)
        assert made.k == 3
        rerank = fake(top_n=4)
        retriever = AttentionRetriever(retriever=source, rerank=rerank, top_n=2)
        assert (retriever.k, retriever.rerank, rerank.top_n) == (2, rerank, 4)
        assert len(retriever.invoke(QUERY)) == 2
        for fields, message in (
            ({"rerank": rerank, "fuse": 0.5}, "pass rerank or fuse, not both"),
            ({"rerank": rerank, "k": 2, "top_n": 3}, "pass k or top_n, not both"),
            ({"fetch_K": 3}, r"no field 'fetch_K'\. Did you mean 'fetch_k'\?"),
            ({"max_token": 3}, r"no field 'max_token'\. Did you mean 'max_tokens'\?"),
            ({"max_tokens": 0}, "max_tokens"),
            ({"fetch_k": True}, "must be a number, not true or false"),
            ({"k": False}, "must be a number, not true or false"),
        ):
            with pytest.raises(ValidationError, match=message):
                AttentionRetriever(retriever=source, **fields)

    def test_fetch_below_k(self, documents: list[Document]) -> None:
        """Fetching fewer than are returned is refused with both numbers."""
        with pytest.raises(ValueError, match=r"fetch_k \(3\) must not be less than k \(9\)"):
            AttentionRetriever(retriever=ListRetriever(documents=documents), fetch_k=3, k=9)

    def test_bad_k_at_call(self, documents: list[Document]) -> None:
        """A call cannot ask for nothing."""
        retriever = AttentionRetriever(retriever=ListRetriever(documents=documents), rerank=fake())
        with pytest.raises(ValueError, match="k must be at least 1, not 0"):
            retriever.invoke(QUERY, k=0)

    def test_other_keywords_go_to_the_wrapped(self, store: InMemoryVectorStore) -> None:
        """A vector store's filter can be given at the call."""
        retriever = AttentionRetriever(retriever=store.as_retriever(), rerank=fake())
        found = retriever.invoke(QUERY, filter=lambda document: document.id == "id-2")
        assert [document.id for document in found] == ["id-2"]

    def test_nothing_found(self) -> None:
        """No candidates give an empty list, and load no model."""
        assert AttentionRetriever(retriever=ListRetriever(documents=[])).invoke(QUERY) == []

    def test_passthrough_keeps_k(self, documents: list[Document]) -> None:
        """Where reranking fails and passes through, the first k of the wrapped are returned."""
        rerank = fake(word_ranker(error=RuntimeError("broken")), on_error="passthrough")
        retriever = AttentionRetriever(
            retriever=ListRetriever(documents=documents), rerank=rerank, k=2
        )
        with pytest.warns(RuntimeWarning, match="broken"):
            assert [document.id for document in retriever.invoke(QUERY)] == ["id-0", "id-1"]


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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": "3"}, "k must be at least 1 and a whole number"),
        ({"k": 2.5}, "k must be at least 1 and a whole number"),
        ({"k": True}, "k must be at least 1 and a whole number"),
        ({"k": 0}, "k must be at least 1"),
        ({"fetch_k": "20"}, "fetch_k must be at least 1 and a whole number"),
        ({"fetch_k": 7.0}, "fetch_k must be at least 1 and a whole number"),
        ({"fetch_k": -5}, "fetch_k must be at least 1"),
    ],
)
def test_counts_of_one_call_are_held_to_what_fields_are(options: dict[str, Any], said: str) -> None:
    """What a call is asked with is checked as the constructor's fields are."""
    retriever = AttentionRetriever(retriever=RunnableLambda(lambda query: []))
    with pytest.raises((TypeError, ValueError), match=said):
        retriever.invoke("Who?", **options)


@pytest.mark.parametrize("found", [None, 5, "text", {"a": 1}, iter([]), ["text"], [None]])
def test_what_gives_no_documents_is_told(found: Any) -> None:
    """A runnable that gives something else than a list of documents is an error that says so."""
    retriever = AttentionRetriever(retriever=RunnableLambda(lambda query: found))
    with pytest.raises(TypeError, match=r"what the retriever gave.*must be a.*Document"):
        retriever.invoke("Who?")
    with pytest.raises(TypeError, match=r"what the retriever gave.*must be a.*Document"):
        asyncio.run(retriever.ainvoke("Who?"))
