"""How many documents the retriever fetches and returns."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import ValidationError

from langchain_attn import AttentionRerank, AttentionRetriever
from tests.langchain.support import (
    QUERY,
    TEXTS,
    ListRetriever,
    StubbornRetriever,
    fake,
    word_ranker,
)


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
