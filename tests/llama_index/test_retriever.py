"""The retriever around retrievers."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import AutoMergingRetriever, QueryFusionRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from attnmass import AttentionRanker
from llama_index_attn import AttentionRerank, AttentionRetriever, details
from tests.contract.stub import StubRanker
from tests.llama_index.conftest import QUERY, TEXTS, Callbacks, Recorder


class ListRetriever(BaseRetriever):
    """Gives what it has, whatever is asked."""

    def __init__(self, nodes: list[NodeWithScore]) -> None:
        self.nodes = nodes
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self.nodes


class FixedRetriever(ListRetriever):
    """Has a `similarity_top_k` that cannot be set."""

    @property
    def similarity_top_k(self) -> int:
        """Fixed."""
        return len(self.nodes)


class PrivateRetriever(ListRetriever):
    """Keeps its number to itself, as some retrievers of LlamaIndex do."""

    _similarity_top_k = 2

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self.nodes[: self._similarity_top_k]


def test_it_fetches_more_and_returns_the_best(
    index: VectorStoreIndex, ranker: AttentionRanker
) -> None:
    """All `fetch_k` nodes are ranked, and the best `top_n` of them are returned."""
    retriever = AttentionRetriever(
        index.as_retriever(similarity_top_k=1),
        rerank=AttentionRerank.from_ranker(ranker, add_scores=True),
        fetch_k=4,
        top_n=2,
    )
    fetched = index.as_retriever(similarity_top_k=4).retrieve(QUERY)
    texts = [found.text for found in fetched]
    expected = ranker.rank(QUERY, texts, top_n=2)
    result = retriever.retrieve(QUERY)
    assert [found.text for found in result] == [texts[chunk.index] for chunk in expected.chunks]
    assert [found.score for found in result] == pytest.approx([c.score for c in expected.chunks])
    told = [details(found) for found in result]
    assert [d["retrieval_score"] for d in told] == [fetched[d["rank_before"]].score for d in told]


async def test_async_gives_the_same(index: VectorStoreIndex, ranker: AttentionRanker) -> None:
    """`aretrieve` returns what `retrieve` does, and the model runs in a thread of its own."""
    retriever = AttentionRetriever(index.as_retriever(), rerank=AttentionRerank.from_ranker(ranker))
    expected = retriever.retrieve(QUERY)
    assert await retriever.aretrieve(QUERY) == expected
    stub = StubRanker()
    await AttentionRetriever(
        index.as_retriever(), rerank=AttentionRerank.from_ranker(stub)
    ).aretrieve(QUERY)
    assert stub.calls[0].thread.startswith("attnmass")


@pytest.mark.parametrize("make", [ListRetriever, FixedRetriever, PrivateRetriever])
def test_retrievers_of_every_kind_give_fetch_k(
    make: type[ListRetriever], nodes: list[NodeWithScore]
) -> None:
    """One that cannot be told how many to fetch is cut; one that can is not changed."""
    stub = StubRanker()
    retriever = make(nodes)
    before = copy.copy(vars(retriever))
    AttentionRetriever(
        retriever, rerank=AttentionRerank.from_ranker(stub), fetch_k=3, top_n=2
    ).retrieve(QUERY)
    assert len(stub.calls[0].chunks) == 3
    assert vars(retriever) == before


def test_the_callers_objects_stay_as_they_were(
    index: VectorStoreIndex, ranker: AttentionRanker
) -> None:
    """Neither the wrapped retriever nor the reranker is written to, and the model is shared."""
    inner = index.as_retriever(similarity_top_k=1)
    rerank = AttentionRerank.from_ranker(ranker, top_n=4)
    retriever = AttentionRetriever(inner, rerank=rerank, fetch_k=3, top_n=3)
    assert len(retriever.retrieve(QUERY)) == 3
    assert (inner.similarity_top_k, rerank.top_n) == (1, 4)
    assert retriever._rerank._ranker is ranker


def test_around_fusion_and_auto_merging(
    index: VectorStoreIndex, nodes: list[NodeWithScore], ranker: AttentionRanker
) -> None:
    """Retrievers over retrievers can be wrapped."""
    rerank = AttentionRerank.from_ranker(ranker)
    fusion = QueryFusionRetriever(
        [index.as_retriever(similarity_top_k=4), ListRetriever(nodes)],
        llm=MockLLM(),
        similarity_top_k=1,
        num_queries=1,
        use_async=False,
    )
    fused = AttentionRetriever(fusion, rerank=rerank, fetch_k=4, top_n=4).retrieve(QUERY)
    assert len(fused) == 4
    assert fusion.similarity_top_k == 1
    storage = StorageContext.from_defaults()
    storage.docstore.add_documents([found.node for found in nodes])
    merging = AutoMergingRetriever(index.as_retriever(similarity_top_k=3), storage)
    merged = AttentionRetriever(merging, rerank=rerank).retrieve(QUERY)
    assert {found.text for found in merged} < set(TEXTS)


def test_fields_of_the_reranker_can_be_given_directly(index: VectorStoreIndex) -> None:
    """Without a reranker, keywords build one."""
    retriever = AttentionRetriever(index.as_retriever(), model="some/model", fuse=0.5, top_n=7)
    assert (retriever._rerank.model, retriever._rerank.fuse) == ("some/model", 0.5)
    assert retriever._rerank.top_n == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity_top_k": 3}, "similarity_top_k"),
        ({"rerank": AttentionRerank(), "fuse": 0.5}, "pass rerank or fuse, not both"),
        ({"fetch_k": 3, "top_n": 4}, "3 < 4"),
        ({"fetch_k": 3}, "3 < 5"),
        ({"fetch_k": 0, "rerank": AttentionRerank(top_n=None)}, "0 < 1"),
        ({"top_n": 0}, "top_n"),
    ],
)
def test_bad_options_fail_at_construction(
    index: VectorStoreIndex, options: dict[str, Any], message: str
) -> None:
    """Unknown and contradictory options never wait for the first query."""
    with pytest.raises(ValueError, match=message):
        AttentionRetriever(index.as_retriever(), **options)


def test_it_reports_to_the_wrapped_retrievers_handlers(
    index: VectorStoreIndex, recorder: Recorder
) -> None:
    """Its reranking is seen where the wrapped retriever's work is seen."""
    callbacks = Callbacks()
    inner = index.as_retriever()
    inner.callback_manager = callbacks.manager
    retriever = AttentionRetriever(inner, model="/nowhere/model", on_error="passthrough")
    assert retriever.callback_manager is inner.callback_manager
    with pytest.warns(RuntimeWarning, match="nowhere"):
        assert len(retriever.retrieve(QUERY)) == 5
    assert [said for said, _, _ in callbacks.calls] == ["start", "end"]
    assert recorder.names == ["ReRankStartEvent", "ReRankEndEvent"]


def test_prompts_of_the_wrapped_retriever_can_be_reached() -> None:
    """A fusion retriever's prompt is found, as in LlamaIndex's own compositions."""
    fusion = QueryFusionRetriever([ListRetriever([])], llm=MockLLM())
    assert "retriever:query_gen_prompt" in AttentionRetriever(fusion).get_prompts()


@pytest.mark.parametrize("top_n", [None, 2])
def test_the_last_ranking_is_told(ranker: AttentionRanker, top_n: int | None) -> None:
    """The retriever has the ranking of its last call, and so has the reranker that was passed."""
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS]
    rerank = AttentionRerank.from_ranker(ranker, keep_ranking=True, top_n=3)
    retriever = AttentionRetriever(ListRetriever(nodes), rerank=rerank, top_n=top_n)
    assert retriever.last_ranking is None
    for query in (QUERY, "What is made of words?"):
        retriever.retrieve(query)
        assert retriever.last_ranking is rerank.last_ranking
        assert rerank.last_ranking is not None
        assert rerank.last_ranking.query == query
        assert len(rerank.last_ranking.chunks) == (top_n or 3)
    asyncio.run(retriever.aretrieve(QUERY))
    assert rerank.last_ranking.query == QUERY
    assert rerank.top_n == 3
