"""Reading ahead in LlamaIndex's ingestion pipeline."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from pathlib import Path

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import ImageNode, MetadataMode, TextNode, TransformComponent

from attnmass import AttentionRanker
from llama_index_attn import AttentionRerank, AttentionWarmer
from tests.conftest import HEADS
from tests.llama_index.conftest import QUERY, TEXTS, WordEmbedding
from tests.tiny import tiny_model, tiny_tokenizer


def fresh() -> AttentionRanker:
    """A ranker that has read nothing yet."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)


def documents() -> list[Document]:
    """Five documents with metadata that the model reads."""
    return [
        Document(text=text, metadata={"title": f"T{place}"}) for place, text in enumerate(TEXTS)
    ]


def test_from_ingestion_to_query() -> None:
    """What an ingestion pipeline warmed is found by the query engine's reranker."""
    ranker = fresh()
    rerank = AttentionRerank.from_ranker(ranker, top_n=2)
    splitter = SentenceSplitter(chunk_size=64, chunk_overlap=0)
    pipeline = IngestionPipeline(
        transformations=[splitter, WordEmbedding(), AttentionWarmer(rerank=rerank)]
    )
    nodes = pipeline.run(documents=documents())
    assert len(nodes) == len(TEXTS)
    index = VectorStoreIndex(list(nodes), embed_model=WordEmbedding())
    found = index.as_retriever(similarity_top_k=5).retrieve(QUERY)
    assert len(rerank.postprocess_nodes(found, query_str=QUERY)) == 2
    assert (ranker.stats.hits, ranker.stats.misses) == (len(TEXTS), 0)


def test_asynchronous_ingestion() -> None:
    """`arun` warms, too."""
    ranker = fresh()
    warmer = AttentionWarmer(rerank=AttentionRerank.from_ranker(ranker))
    asyncio.run(IngestionPipeline(transformations=[warmer]).arun(nodes=[TextNode(text=TEXTS[0])]))
    assert ranker.stats.tokens_encoded > 0


def test_metadata_mode_is_the_rerankers() -> None:
    """What is excluded from the mode that is read is not read ahead either."""
    node = TextNode(text=TEXTS[0], metadata={"a": "1", "b": "2"}, excluded_llm_metadata_keys=["a"])
    ranker = fresh()
    rerank = AttentionRerank.from_ranker(ranker, metadata_mode=MetadataMode.LLM)
    AttentionWarmer(rerank=rerank)([node])
    assert ranker.warm([f"b: 2\n{TEXTS[0]}"]).skipped == 1


def test_images_pass_through() -> None:
    """Nodes without text are passed on, and nothing is read of them."""
    ranker = fresh()
    nodes = [ImageNode(image_path="a.png"), TextNode(text=TEXTS[0])]
    warmer = AttentionWarmer(rerank=AttentionRerank.from_ranker(ranker))
    assert warmer(nodes) == nodes
    assert ranker.warm([TEXTS[0]]).skipped == 1


def test_serializes_with_its_reranker(tmp_path: Path) -> None:
    """Options survive, those of the reranker inside included; weights are never written."""
    rerank = AttentionRerank(
        model="some/model",
        heads=((1, 0),),
        metadata_mode=MetadataMode.LLM,
        store=tmp_path,
        store_format="int8",
    )
    warmer = AttentionWarmer(rerank=rerank)
    assert isinstance(warmer, TransformComponent)
    data = json.loads(warmer.to_json())
    assert data["class_name"] == "AttentionWarmer"
    for other in (
        AttentionWarmer.from_dict(data),
        copy.deepcopy(warmer),
        pickle.loads(pickle.dumps(warmer)),
    ):
        assert other.to_dict() == warmer.to_dict()
        assert other.rerank.metadata_mode is MetadataMode.LLM
        assert other.rerank.heads == ((1, 0),)


def test_pickles_carry_no_weights() -> None:
    """What goes to the workers of an ingestion pipeline names the model, and is small."""
    warmer = AttentionWarmer(rerank=AttentionRerank.from_ranker(fresh()))
    assert len(pickle.dumps(warmer)) < 4000
