"""What LlamaIndex asks of trimmed nodes, beyond the contract that all adapters share."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import PromptTemplate, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import (
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)

from llama_index_attn import AttentionRerank, cite, details
from tests.contract.one_text import AT, KEPT, TEXT
from tests.contract.stub import StubRanker
from tests.llama_index.conftest import QUERY, Callbacks, TrimRecorder, WordEmbedding
from tests.llama_index.trimmed import like, make, trim
from tests.trimming.build import words


@pytest.mark.parametrize("max_tokens", [14, 20, 40])
def test_templates_and_metadata_count(max_tokens: int) -> None:
    """The budget counts what synthesizers send: metadata that the LLM sees, in the templates."""
    nodes = [
        NodeWithScore(
            node=TextNode(
                text=TEXT,
                metadata={"title": "About physics", "secret": "x " * 50},
                excluded_llm_metadata_keys=["secret"],
                text_template="<doc> {metadata_str} </doc> {content}",
            )
        )
        for _ in range(3)
    ]
    rerank = make(max_tokens=max_tokens, tokenizer=words)
    result = rerank.postprocess_nodes(nodes, query_str=QUERY)
    sent = [found.node.get_content(MetadataMode.LLM) for found in result]
    assert all(text.startswith("<doc> title: About physics </doc> ") for text in sent)
    assert 0 < sum(map(words, sent)) <= max_tokens
    with pytest.raises(ValueError, match="for any span"):
        make(max_tokens=8, tokenizer=words).postprocess_nodes(nodes, query_str=QUERY)


def test_the_default_tokenizer_is_the_frameworks() -> None:
    """Without a tokenizer LlamaIndex's global one counts, as it is at the time of the call."""
    import llama_index.core
    from llama_index.core import set_global_tokenizer

    before = llama_index.core.global_tokenizer
    rerank = make(max_tokens=len(KEPT))
    found = [NodeWithScore(node=TextNode(text=TEXT))]
    try:
        set_global_tokenizer(lambda text: list(text))
        (result,) = rerank.postprocess_nodes(found, query_str=QUERY)
        assert result.text == KEPT
        set_global_tokenizer(str.split)
        (result,) = rerank.postprocess_nodes(found, query_str=QUERY)
        assert result.text == TEXT
    finally:
        llama_index.core.global_tokenizer = before


class TestEvents:
    """What handlers hear."""

    @pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
    async def test_trimming_is_told_once(self, trims: TrimRecorder, *, is_async: bool) -> None:
        """Our event is between the start and the end of reranking, with the numbers of the call."""
        found = [
            NodeWithScore(node=TextNode(text=TEXT)),
            NodeWithScore(node=TextNode(text="Trains run late.")),
        ]
        rerank = make(max_tokens=7, tokenizer=words, evidence_threshold=1.0)
        if is_async:
            result = await rerank.apostprocess_nodes(found, query_str=QUERY)
        else:
            result = rerank.postprocess_nodes(found, query_str=QUERY)
        assert trims.names == ["ReRankStartEvent", "AttentionTrimEvent", "ReRankEndEvent"]
        event = trims.events[1]
        assert [item.text for item in result] == [KEPT]
        assert (event.n_nodes_before, event.n_nodes_after) == (2, 1)
        assert (event.n_tokens_before, event.n_tokens_after) == (18, 6)
        assert (event.n_spans_kept, event.n_spans_dropped) == (1, 3)
        assert event.evidence == details(result[0])["evidence"]
        assert event.no_evidence is True
        assert event.model_dump()["class_name"] == "AttentionTrimEvent"

    def test_nothing_trimmed_nothing_told(self, trims: TrimRecorder) -> None:
        """Reranking alone, and a result that was trimmed before, are no trimming."""
        found = [NodeWithScore(node=TextNode(text=TEXT))]
        rerank = make()
        once = rerank.postprocess_nodes(found, query_str=QUERY)
        trims.events.clear()
        rerank.postprocess_nodes(once, query_str=QUERY)
        AttentionRerank.from_ranker(StubRanker()).postprocess_nodes(found, query_str=QUERY)
        assert trims.names == ["ReRankStartEvent", "ReRankEndEvent"] * 2

    @pytest.mark.parametrize("on_no_evidence", ["empty", "raise"])
    def test_balanced_without_evidence(self, trims: TrimRecorder, on_no_evidence: Any) -> None:
        """An empty result ends as any other, an error too, with callbacks alike."""
        callbacks = Callbacks()
        rerank = make(evidence_threshold=1.0, on_no_evidence=on_no_evidence)
        rerank.callback_manager = callbacks.manager
        found = [NodeWithScore(node=TextNode(text=TEXT))]
        if on_no_evidence == "empty":
            assert rerank.postprocess_nodes(found, query_str=QUERY) == []
            assert trims.events[1].no_evidence is True
        else:
            with pytest.raises(Exception, match="no evidence"):
                rerank.postprocess_nodes(found, query_str=QUERY)
        assert (trims.names[0], trims.names[-1]) == ("ReRankStartEvent", "ReRankEndEvent")
        assert trims.events[-1].nodes == []
        assert [said for said, *_ in callbacks.calls] == ["start", "end"]


def test_dict_round_trip() -> None:
    """All options but the tokenizer go through `to_dict` and `to_json`."""
    rerank = AttentionRerank(
        max_tokens=800, neighbors=1, order="best_last", on_no_evidence="empty", tokenizer=words
    )
    data = rerank.to_dict()
    assert "tokenizer" not in data
    for other in (AttentionRerank.from_dict(data), AttentionRerank.from_json(rerank.to_json())):
        assert other.to_dict() == data
        assert (other.max_tokens, other.neighbors, other.tokenizer) == (800, 1, None)


def test_a_query_engine_sends_what_was_counted() -> None:
    """The prompt of a synthesizer has the trimmed context, within the budget."""
    nodes = [TextNode(text=like(n), metadata={"n": n}) for n in range(4)]
    index = VectorStoreIndex(nodes, embed_model=WordEmbedding())
    rerank = make(max_tokens=30, tokenizer=words)
    engine = index.as_query_engine(
        llm=MockLLM(),
        similarity_top_k=4,
        node_postprocessors=[rerank],
        text_qa_template=PromptTemplate("<{context_str}>"),
    )
    response = engine.query(QUERY)
    context = str(response).strip("<>")
    assert KEPT in context
    assert words(context) <= 30
    assert all("original_text" in details(found) for found in response.source_nodes)
    assert "original_text" not in context


def test_no_evidence_gives_an_empty_response() -> None:
    """A synthesizer that gets no nodes says so without asking its LLM."""
    rerank = make(evidence_threshold=1.0, on_no_evidence="empty")
    nodes = rerank.postprocess_nodes([NodeWithScore(node=TextNode(text=TEXT))], query_str=QUERY)
    response = get_response_synthesizer(llm=MockLLM()).synthesize(QUERY, nodes)
    assert str(response) == "Empty Response"
    assert response.source_nodes == []


def test_citations_name_the_parent() -> None:
    """A source has the ids of node and document and the place in the document."""
    node = TextNode(
        text=TEXT,
        id_="id",
        start_char_idx=50,
        end_char_idx=50 + len(TEXT),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")},
        metadata={"file_name": "a.txt"},
    )
    (source,) = cite([trim(node)]).sources
    assert (source.chunk_id, source.parent_id, source.text) == ("id", "doc", KEPT)
    assert (source.doc_start, source.doc_end) == (50 + AT, 50 + AT + len(KEPT))
    assert source.metadata == {"file_name": "a.txt"}
