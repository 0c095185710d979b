"""Reading ahead in LangChain."""

from __future__ import annotations

from langchain_core.documents import BaseDocumentTransformer, Document
from langchain_core.vectorstores import InMemoryVectorStore

from attnmass import AttentionRanker
from langchain_attn import AttentionRerank, AttentionRetriever, AttentionWarmer
from tests.conftest import HEADS
from tests.langchain.support import QUERY
from tests.tiny import tiny_model, tiny_tokenizer


def test_from_ingestion_to_query(documents: list[Document], store: InMemoryVectorStore) -> None:
    """What was warmed is found by the retriever's reranker, its template included."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    rerank = AttentionRerank.from_ranker(ranker, document_template="{title}: {page_content}")
    warmer = AttentionWarmer(rerank)
    assert isinstance(warmer, BaseDocumentTransformer)
    assert warmer.transform_documents(documents) is documents
    retriever = AttentionRetriever(
        retriever=store.as_retriever(), rerank=rerank, fetch_k=len(documents), k=2
    )
    assert len(retriever.invoke(QUERY)) == 2
    assert (ranker.stats.hits, ranker.stats.misses) == (len(documents), 0)


def test_default_reranker() -> None:
    """Without a reranker it warms for one with all defaults, which shares its model and cache."""
    assert AttentionWarmer().rerank == AttentionRerank()
