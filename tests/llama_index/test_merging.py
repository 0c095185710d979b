"""Duplicates of several calls are merged by LlamaIndex's own retriever and stores."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore

from attnmass import Chunk
from llama_index_attn import AttentionRerank, AttentionRetriever
from tests.contract.stub import StubRanker
from tests.llama_index.test_retriever import ListRetriever

TEXTS = [
    "Einstein was born in Ulm. He developed the theory of relativity. He played the violin.",
    "Trains run late. The theory of trains is simple. Winter is cold.",
    "Music is old.",
]


def nodes() -> list[NodeWithScore]:
    """Three, as a retriever gives them."""
    return [
        NodeWithScore(
            node=TextNode(
                text=text,
                id_=f"id-{n}",
                metadata={"title": f"T{n}"},
                relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")},
                start_char_idx=100 * n,
                end_char_idx=100 * n + len(text),
            ),
            score=0.5 - 0.1 * n,
        )
        for n, text in enumerate(TEXTS)
    ]


def retriever(mass: float, hot: str = "theory", **fields: Any) -> AttentionRetriever:
    """One with scores of its own."""

    def masses(chunk: Chunk) -> float:
        return mass * (1 + chunk.text.count("theory"))

    rerank = AttentionRerank.from_ranker(StubRanker(masses, hot=hot), **fields)
    return AttentionRetriever(ListRetriever(nodes()), rerank=rerank)


def fused(*retrievers: AttentionRetriever, mode: str = "reciprocal_rerank") -> list[NodeWithScore]:
    """What LlamaIndex makes of several."""
    fusion = QueryFusionRetriever(
        list(retrievers),
        llm=MockLLM(),
        num_queries=1,
        similarity_top_k=10,
        mode=mode,
        use_async=False,
    )
    return fusion.retrieve("Who developed the theory of relativity?")


MODES = ["reciprocal_rerank", "relative_score", "dist_based_score", "simple"]
FIELDS: list[dict[str, Any]] = [
    {},
    {"keep_ratio": 1.0},
    {"top_p": 0.6},
    {"top_p": 0.6, "keep_original": True},
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fields", FIELDS)
def test_two_retrievers_are_one_result(mode: str, fields: dict[str, Any]) -> None:
    """A chunk that both found is there once, trimmed or not."""
    found = fused(retriever(0.01, **fields), retriever(0.02, **fields), mode=mode)
    ids = [node.node_id for node in found]
    assert len(ids) == len(set(ids)) >= 2


def ranks(found: list[NodeWithScore]) -> list[float | None]:
    """What each would have if one retriever alone had found it there."""
    return [1 / (60 + place) for place in range(len(found))]


@pytest.mark.parametrize("fields", FIELDS)
def test_what_both_found_has_the_scores_of_both(fields: dict[str, Any]) -> None:
    """Fusion is by the node's hash, and that is the same from both."""
    found = fused(retriever(0.01, **fields), retriever(0.02, **fields))
    once = fused(retriever(0.01, **fields))
    assert [each.score for each in once] == pytest.approx(ranks(once))
    assert [each.score for each in found] == pytest.approx([2 * (s or 0) for s in ranks(once)])


def test_scores_tell_duplicates_apart() -> None:
    """That is what `add_scores` costs, and why it is off by default."""
    found = fused(retriever(0.01, add_scores=True), retriever(0.02, add_scores=True))
    assert [each.score for each in found] == pytest.approx(ranks(found))


def test_of_a_node_that_was_trimmed_in_two_ways_one_is_left() -> None:
    """LlamaIndex returns one node of an id: so fusion is better done before trimming."""
    found = fused(retriever(0.01, top_p=0.6), retriever(0.01, "violin", top_p=0.6))
    mine = [node.text for node in found if node.node_id == "id-0"]
    assert mine in ([["He developed the theory of relativity."], ["He played the violin."]])


def test_merged_first_and_trimmed_then_each_chunk_is_there_once() -> None:
    """A reranker behind the fusion sees whole chunks."""
    rerank = AttentionRerank.from_ranker(StubRanker(hot="theory"), top_p=0.6)
    whole = fused(retriever(0.01), retriever(0.02))
    found = rerank.postprocess_nodes(whole, query_str="Who?")
    ids = [node.node_id for node in found]
    assert len(ids) == len(set(ids)) > 0


def test_a_ranked_node_is_the_node_that_went_in() -> None:
    """Its hash, by which docstores and pipelines know it, is the same; only the score is new."""
    before = {found.node_id: found.node for found in nodes()}
    for found in retriever(0.01).retrieve("Who?"):
        assert found.node.hash == before[found.node_id].hash
        assert found.node == before[found.node_id]


def test_a_docstore_has_one_hash_for_what_is_left_of_a_node() -> None:
    """What two calls leave alike is one document to a store."""
    store = SimpleDocumentStore()
    for mass in (0.01, 0.02):
        found = retriever(mass, top_p=0.6).retrieve("Who?")
        store.add_documents([each.node for each in found])
        first = [store.get_document_hash(each.node_id) for each in found]
        assert first == [each.node.hash for each in found]
    assert len(store.docs) == len(found)
