"""Duplicates of several calls are merged by LangChain's own retrievers."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_classic.retrievers import (
    ContextualCompressionRetriever,
    EnsembleRetriever,
    MultiQueryRetriever,
)
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore

from attnmass import Chunk
from langchain_attn import AttentionRerank, AttentionRetriever
from tests.contract.stub import StubRanker
from tests.langchain.support import StubbornRetriever

TEXTS = [
    "Einstein was born in Ulm. He developed the theory of relativity. He played the violin.",
    "Trains run late. The theory of trains is simple. Winter is cold.",
    "Music is old.",
]
QUERIES = ["Who developed the theory?", "Whose theory is it?", "What is a theory?"]


def documents() -> list[Document]:
    """Three, each with an id."""
    return [
        Document(text, id=f"id-{n}", metadata={"source": f"s{n}", "start_index": 10 * n})
        for n, text in enumerate(TEXTS)
    ]


class Wandering(StubRanker):
    """Gives each call other scores, and looks at another word in each."""

    def __init__(self, *hot: str) -> None:
        super().__init__(self._next, hot=hot[0])
        self._words = hot
        self._number = 0

    def _next(self, chunk: Chunk) -> float:
        return (self._number * 0.01 + len(chunk.text) % 7 * 0.001) % 0.2 + 0.001

    def rank(self, *args: Any, **options: Any) -> Any:
        """As `AttentionRanker.rank`."""
        self._number += 1
        self._hot = self._words[self._number % len(self._words)]
        return super().rank(*args, **options)


def retriever(*hot: str, **fields: Any) -> AttentionRetriever:
    """One whose scores are never the same."""
    rerank = AttentionRerank.from_ranker(Wandering(*hot), **fields)  # type: ignore[arg-type]
    return AttentionRetriever(retriever=StubbornRetriever(documents=documents()), rerank=rerank)


def several(source: Any) -> MultiQueryRetriever:
    """Three queries for each, without an LLM."""
    return MultiQueryRetriever(
        retriever=source, llm_chain=RunnableLambda(lambda _: QUERIES), verbose=False
    )


@pytest.mark.parametrize("fields", [{}, {"top_p": 1.0}, {"top_p": 0.6, "keep_original": True}])
def test_several_queries_are_one_result(fields: dict[str, Any]) -> None:
    """What several queries found alike is there once, trimmed or not."""
    found = several(retriever("theory", **fields)).invoke("Who?")
    ids = [document.id for document in found]
    assert len(ids) == len(set(ids)) >= (2 if "keep_original" in fields else 3)


def test_scores_tell_duplicates_apart() -> None:
    """That is what `add_scores` costs, and why it is off by default."""
    found = several(retriever("theory", add_scores=True)).invoke("Who?")
    assert len(found) == 9
    assert len(several(retriever("theory")).invoke("Who?")) == 3


def test_a_chunk_of_which_other_sentences_are_left_is_there_with_both() -> None:
    """No sentence that one of the queries found gets lost in merging."""
    found = several(retriever("theory", "violin", top_p=0.6)).invoke("Who?")
    mine = [document.page_content for document in found if document.id == "id-0"]
    assert sorted(mine) == ["He developed the theory of relativity.", "He played the violin."]


def test_an_ensemble_adds_the_scores_of_one_chunk() -> None:
    """Results of two retrievers are merged by text, or by a key of the documents' own."""
    for fields, id_key in (({}, None), ({"top_p": 0.9}, None), ({"top_p": 0.6}, "source")):
        ensemble = EnsembleRetriever(
            retrievers=[retriever("theory", **fields), retriever("theory", "violin", **fields)],
            id_key=id_key,
        )
        found = ensemble.invoke("Who?")
        sources = [document.metadata["source"] for document in found]
        if id_key is not None or not fields:
            assert sorted(sources) == sorted(set(sources))
        assert len(found) >= 1


def test_an_ensembles_documents_are_those_that_went_in() -> None:
    """Ranked alone, documents come out as the retrievers found them."""
    ensemble = EnsembleRetriever(retrievers=[retriever("theory"), retriever("violin")])
    assert sorted(ensemble.invoke("Who?"), key=lambda each: str(each.id)) == documents()


def test_a_trimming_reranker_behind_a_merging_retriever_sees_whole_chunks() -> None:
    """Merge first, then trim: each chunk is there once, with its best sentences."""
    ranker = StubRanker(lambda chunk: 0.1 * chunk.text.count("theory"), hot="theory")
    rerank = AttentionRerank.from_ranker(ranker, top_p=0.6)
    chain = ContextualCompressionRetriever(
        base_compressor=rerank, base_retriever=several(retriever("theory"))
    )
    found = chain.invoke("Who?")
    ids = [document.id for document in found]
    assert len(ids) == len(set(ids)) > 0
    assert all("theory" in document.page_content for document in found)


async def test_scores_that_were_fetched_to_fuse_do_not_stay() -> None:
    """A vector store's score of one query, which a search with scores gives, is not the chunk's."""
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    given = documents()
    given[0].metadata["relevance_score"] = "mine"
    store.add_documents(given)
    rerank = AttentionRerank.from_ranker(Wandering("theory"), fuse=0.5)
    source = AttentionRetriever(retriever=store.as_retriever(), rerank=rerank)
    for found in (source.invoke("Who?"), await source.ainvoke("Who?")):
        assert {document.id: document.metadata for document in found} == {
            document.id: document.metadata for document in given
        }
    assert len(several(source).invoke("Who?")) == 3
    rerank.add_scores = True
    assert all("relevance_score" in each.metadata for each in source.invoke("Who?"))
