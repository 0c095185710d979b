"""The adapter as users use it: query engines, chat engines, ingestion."""

from __future__ import annotations

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RetrieverQueryEngine

from attnmass import AttentionRanker
from llama_index_attn import AttentionRerank, AttentionRetriever
from tests.llama_index.conftest import QUERY, TEXTS, Callbacks, WordEmbedding


@pytest.fixture
def rerank(ranker: AttentionRanker) -> AttentionRerank:
    """Keeps two."""
    return AttentionRerank.from_ranker(ranker, top_n=2)


def memory() -> ChatMemoryBuffer:
    """A chat history in a list: LlamaIndex's default leaves a database connection open."""
    return ChatMemoryBuffer.from_defaults(token_limit=1000)


def best(ranker: AttentionRanker, index: VectorStoreIndex, top_k: int, query: str) -> list[str]:
    """The two texts that have to be kept."""
    texts = [node.text for node in index.as_retriever(similarity_top_k=top_k).retrieve(query)]
    return [texts[chunk.index] for chunk in ranker.rank(query, texts, top_n=2).chunks]


async def test_query_engine(
    index: VectorStoreIndex, ranker: AttentionRanker, rerank: AttentionRerank
) -> None:
    """A query engine answers from the kept nodes, best first, and the LLM sees nothing added."""
    engine = RetrieverQueryEngine.from_args(
        index.as_retriever(similarity_top_k=4), llm=MockLLM(), node_postprocessors=[rerank]
    )
    expected = best(ranker, index, 4, QUERY)
    for response in (engine.query(QUERY), await engine.aquery(QUERY)):
        assert [node.text for node in response.source_nodes] == expected
        assert "\n\n".join(expected) in str(response)
        assert "attnmass" not in str(response)
        assert "retrieval_score" not in str(response)


async def test_retriever_in_a_query_engine(
    index: VectorStoreIndex, ranker: AttentionRanker, rerank: AttentionRerank
) -> None:
    """The retriever takes a retriever's place."""
    retriever = AttentionRetriever(index.as_retriever(), rerank=rerank, fetch_k=4)
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    expected = best(ranker, index, 4, QUERY)
    for response in (engine.query(QUERY), await engine.aquery(QUERY)):
        assert [node.text for node in response.source_nodes] == expected


def test_ingestion_pipeline_before_it(ranker: AttentionRanker, rerank: AttentionRerank) -> None:
    """Nodes of an ingestion pipeline keep their source, metadata and offsets."""
    text = " ".join(TEXTS)
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=24, chunk_overlap=0), WordEmbedding()]
    )
    nodes = pipeline.run(documents=[Document(text=text, id_="doc", metadata={"title": "T"})])
    index = VectorStoreIndex(nodes, embed_model=WordEmbedding())
    engine = index.as_query_engine(similarity_top_k=3, llm=MockLLM(), node_postprocessors=[rerank])
    found = engine.query(QUERY).source_nodes
    assert len(found) == 2
    for node in found:
        assert node.node.ref_doc_id == "doc"
        assert node.metadata["title"] == "T"
        assert text[node.node.start_char_idx : node.node.end_char_idx] == node.text


async def test_chat_engine(
    index: VectorStoreIndex, ranker: AttentionRanker, rerank: AttentionRerank
) -> None:
    """A context chat engine answers from the kept nodes, turn after turn."""
    chat = ContextChatEngine.from_defaults(
        index.as_retriever(similarity_top_k=4),
        llm=MockLLM(),
        memory=memory(),
        node_postprocessors=[rerank],
    )
    for query in (QUERY, "What runs through the city?"):
        response = chat.chat(query)
        assert [node.text for node in response.source_nodes] == best(ranker, index, 4, query)
        assert "attnmass" not in str(response)
    response = await chat.achat(QUERY)
    assert [node.text for node in response.source_nodes] == best(ranker, index, 4, QUERY)


@pytest.mark.parametrize("mode", ["context", "condense_plus_context"])
def test_chat_engines_of_an_index(
    index: VectorStoreIndex, rerank: AttentionRerank, mode: str
) -> None:
    """The chat engines that an index builds take it as a node postprocessor."""
    chat = index.as_chat_engine(
        chat_mode=mode,
        llm=MockLLM(),
        memory=memory(),
        similarity_top_k=4,
        node_postprocessors=[rerank],
    )
    assert len(chat.chat(QUERY).source_nodes) == 2


def test_an_engines_callbacks_see_the_reranking(
    index: VectorStoreIndex, rerank: AttentionRerank
) -> None:
    """An engine hands its callback manager to the reranker, as to any postprocessor."""
    callbacks = Callbacks()
    engine = RetrieverQueryEngine.from_args(
        index.as_retriever(),
        llm=MockLLM(),
        node_postprocessors=[rerank],
        callback_manager=callbacks.manager,
    )
    engine.query(QUERY)
    assert [said for said, _, _ in callbacks.calls] == ["start", "end"]
