"""Used as users use it: compression retrievers, pipelines, chains."""

from __future__ import annotations

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_classic.retrievers.document_compressors import DocumentCompressorPipeline
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_text_splitters import CharacterTextSplitter

from langchain_attn import AttentionRerank, AttentionRetriever
from tests.langchain.support import QUERY, CountingHandler

ANSWER = "Albert Einstein."


def join(documents: list[Document]) -> str:
    """The documents as one text."""
    return "\n".join(document.page_content for document in documents)


@pytest.fixture
def chain(store: InMemoryVectorStore, rerank: AttentionRerank) -> Runnable[str, str]:
    """Question to answer, over a vector store."""
    retriever = AttentionRetriever(retriever=store.as_retriever(), rerank=rerank)
    prompt = ChatPromptTemplate.from_template("{context}\n\n{question}")
    model = FakeListChatModel(responses=[ANSWER])
    inputs = {"context": retriever | join, "question": RunnablePassthrough()}
    return inputs | prompt | model | StrOutputParser()


class TestCompression:
    """The compressor in langchain-classic."""

    async def test_contextual_compression(
        self, store: InMemoryVectorStore, rerank: AttentionRerank
    ) -> None:
        """A compression retriever returns what the compressor keeps, traced as its child."""
        retriever = ContextualCompressionRetriever(
            base_compressor=rerank, base_retriever=store.as_retriever(search_kwargs={"k": 8})
        )
        handler = CountingHandler()
        found = retriever.invoke(QUERY, {"callbacks": [handler]})
        assert found == rerank.compress_documents(store.similarity_search(QUERY, k=8), QUERY)
        assert ("AttentionRerank", "ContextualCompressionRetriever") in handler.edges()
        assert await retriever.ainvoke(QUERY) == found

    async def test_compressor_pipeline(
        self, documents: list[Document], rerank: AttentionRerank
    ) -> None:
        """A pipeline splits documents first and reranks the pieces."""
        splitter = CharacterTextSplitter(separator=" ", chunk_size=20, chunk_overlap=0)
        pipeline = DocumentCompressorPipeline(transformers=[splitter, rerank])
        pieces = splitter.split_documents(documents)
        found = pipeline.compress_documents(documents, QUERY)
        assert found == rerank.compress_documents(pieces, QUERY)
        assert await pipeline.acompress_documents(documents, QUERY) == found


class TestChain:
    """The retriever in an LCEL chain."""

    def test_prompt_has_the_best(
        self,
        chain: Runnable[str, str],
        store: InMemoryVectorStore,
        rerank: AttentionRerank,
    ) -> None:
        """The model is asked with the reranked documents, best first."""
        handler = CountingHandler()
        assert chain.invoke(QUERY, {"callbacks": [handler]}) == ANSWER
        best = rerank.compress_documents(store.similarity_search(QUERY, k=8), QUERY)
        assert handler.prompts == [f"Human: {join(best)}\n\n{QUERY}".removeprefix("Human: ")]
        counts = handler.counts
        assert counts["chain start"] == counts["chain end"]
        assert counts["retriever start"] == counts["retriever end"] == 2

    def test_batch(self, chain: Runnable[str, str]) -> None:
        """Several questions run side by side."""
        assert chain.batch([QUERY, "What is music made of?"]) == [ANSWER, ANSWER]

    def test_stream(self, chain: Runnable[str, str]) -> None:
        """The answer streams."""
        parts = list(chain.stream(QUERY))
        assert "".join(parts) == ANSWER
        assert len(parts) > 1

    async def test_async(self, chain: Runnable[str, str]) -> None:
        """The chain runs asynchronously: once, in a batch, and streamed."""
        assert await chain.ainvoke(QUERY) == ANSWER
        assert await chain.abatch([QUERY, QUERY]) == [ANSWER, ANSWER]
        assert "".join([part async for part in chain.astream(QUERY)]) == ANSWER
