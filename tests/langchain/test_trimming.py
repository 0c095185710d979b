"""What LangChain asks of trimmed documents, beyond the contract that all adapters share."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.documents import Document
from langchain_text_splitters import RecursiveCharacterTextSplitter
from pydantic import ConfigDict, Field

from langchain_attn import AttentionRerank, AttentionRetriever, cite, details, restore
from tests.contract.one_text import AT, KEPT, TEXT, by_theories
from tests.contract.stub import StubRanker
from tests.langchain.support import QUERY, StubbornRetriever
from tests.langchain.trimmed import make, trim
from tests.trimming.build import words


class TestStartIndex:
    """The place in the document that a splitter cut."""

    def test_splitters_offsets_lead_to_the_source(self) -> None:
        """Spans of what a text splitter cut are where they say in the text that it cut."""
        source = " ".join([TEXT, "Rivers run.", TEXT.replace("1905", "1915")])
        splitter = RecursiveCharacterTextSplitter(
            chunk_size=90, chunk_overlap=0, add_start_index=True
        )
        documents = splitter.create_documents([source])
        result = make(top_p=0.9).compress_documents(documents, QUERY)
        assert len(result) == 2
        for document in result:
            for span in details(document)["spans"]:
                assert "theory" in source[span["doc_start"] : span["doc_end"]]
            start = document.metadata["start_index"]
            assert source[start : start + len(document.page_content)] == document.page_content
            assert restore(document) in documents

    @pytest.mark.parametrize("start", [-1, None, "7", True])
    def test_what_is_no_place_stays_as_it_is(self, start: Any) -> None:
        """Splitters write -1 where they lost the place."""
        document = Document(TEXT, metadata={"start_index": start})
        result = trim(document)
        assert result.metadata["start_index"] == start
        assert "doc_start" not in details(result)["spans"][0]
        assert restore(result) == document

    def test_a_gap_has_no_place(self) -> None:
        """Two slices are not named by one number."""
        text = f"{KEPT} It rained. {KEPT}"
        document = Document(text, metadata={"start_index": 7})
        result = trim(document, top_p=0.9)
        assert result.page_content == f"{KEPT} … {KEPT}"
        assert "start_index" not in result.metadata
        assert [span["doc_start"] for span in details(result)["spans"]] == [
            7, 7 + text.rindex(KEPT),
        ]  # fmt: skip
        assert restore(result) == document


class TestScores:
    """`relevance_score`, which another reranker may have set."""

    @pytest.mark.parametrize("before", [0.25, "high", np.float32(0.5), None])
    def test_an_earlier_score_is_restored(self, before: Any) -> None:
        """Whatever was under the key comes back as plain data, or goes if nothing was."""
        document = Document(TEXT, metadata={"relevance_score": before})
        result = trim(document)
        assert type(result.metadata["relevance_score"]) is float
        assert restore(result) == document
        assert "relevance_score" not in restore(trim(Document(TEXT))).metadata

    def test_a_later_score_is_kept(self) -> None:
        """What another reranker wrote since is its own."""
        result = trim(Document(TEXT))
        result.metadata["relevance_score"] = 0.123
        assert restore(result).metadata == {"relevance_score": 0.123}


class TestCustomEvent:
    """What callbacks hear of a trimming."""

    EXPECTED = {  # noqa: RUF012
        "n_documents_before": 2,
        "n_documents_after": 1,
        "n_tokens_before": 18,
        "n_tokens_after": 6,
        "n_spans_kept": 1,
        "n_spans_dropped": 3,
    }

    @pytest.mark.parametrize("asynchronous", [False, True])
    @pytest.mark.parametrize("base", [BaseCallbackHandler, AsyncCallbackHandler])
    def test_it_is_told_once(self, base: Any, asynchronous: bool) -> None:
        """Handlers of both kinds get the numbers of the call, from both kinds of call."""
        told: list[tuple[str, dict[str, Any]]] = []

        class Sync(BaseCallbackHandler):
            def on_custom_event(self, name: str, data: Any, **fields: Any) -> None:
                told.append((name, data))

        class Async(AsyncCallbackHandler):
            async def on_custom_event(self, name: str, data: Any, **fields: Any) -> None:
                told.append((name, data))

        handler = (Sync if base is BaseCallbackHandler else Async)()
        documents = [Document(TEXT), Document("Trains run late.")]
        rerank = make(max_tokens=7, tokenizer=words)
        if asynchronous:
            result = asyncio.run(rerank.acompress_documents(documents, QUERY, [handler]))
        else:
            result = rerank.compress_documents(documents, QUERY, [handler])
        [(name, data)] = told
        assert name == "attnmass_trim"
        evidence = data.pop("evidence")
        assert evidence == details(result[0])["evidence"]
        assert data == {**self.EXPECTED, "dry_run": False, "no_evidence": False}

    async def test_it_is_streamed(self) -> None:
        """`astream_events` has it among a chain's events."""
        step = make(max_tokens=7, tokenizer=words).as_runnable()
        inputs = {"documents": [Document(TEXT)], "query": QUERY}
        events = [event async for event in step.astream_events(inputs, version="v2")]
        [custom] = [event for event in events if event["event"] == "on_custom_event"]
        assert custom["name"] == "attnmass_trim"
        assert custom["data"]["n_spans_kept"] == 1


class TestRetrievers:
    """Trimming behind retrievers."""

    def test_compression_retriever(self) -> None:
        """LangChain's own retriever over a compressor returns what was kept."""
        retriever = ContextualCompressionRetriever(
            base_compressor=make(), base_retriever=StubbornRetriever(documents=[Document(TEXT)])
        )
        [found] = retriever.invoke(QUERY)
        assert found.page_content == KEPT

    async def test_a_k_of_one_call_trims_to_as_many(self) -> None:
        """`k` cuts documents before spans are chosen, whatever the order."""
        documents = [Document(f"{TEXT} The theory, again: {n}.", id=str(n)) for n in range(4)]
        retriever = AttentionRetriever(
            retriever=StubbornRetriever(documents=documents),
            rerank=make(order="best_last", max_tokens=500),
        )
        found = await retriever.ainvoke(QUERY, k=2)
        assert [document.id for document in found] == ["1", "0"]
        assert found == retriever.invoke(QUERY, k=2)
        expected = make(order="best_last", max_tokens=500, top_n=2)
        assert found == expected.compress_documents(documents, QUERY)

    def test_no_evidence(self) -> None:
        """An empty result, or the error, comes through the retriever."""
        source = StubbornRetriever(documents=[Document(TEXT)])
        empty = make(evidence_threshold=1.0, on_no_evidence="empty")
        assert AttentionRetriever(retriever=source, rerank=empty).invoke(QUERY) == []
        broken = make(evidence_threshold=1.0, on_no_evidence="raise")
        with pytest.raises(Exception, match="no evidence"):
            AttentionRetriever(retriever=source, rerank=broken).invoke(QUERY)


def test_citations_name_the_source() -> None:
    """A source has the document's id, metadata and place."""
    document = Document(TEXT, id="id", metadata={"source": "a.txt", "start_index": 50})
    [source] = cite([trim(document)]).sources
    assert (source.chunk_id, source.text, source.metadata["source"]) == ("id", KEPT, "a.txt")
    assert (source.doc_start, source.doc_end) == (50 + AT, 50 + AT + len(KEPT))


class StatefulDocument(Document):
    """As LangChain's filters by embeddings hand documents on."""

    state: dict[str, Any] = Field(default_factory=dict)


class FrozenDocument(Document):
    """A class whose documents cannot be changed."""

    model_config = ConfigDict(frozen=True)
    pages: list[int] = Field(default_factory=list)


class TestClassesOfDocuments:
    """Documents of other classes than `Document` stay what they are."""

    def test_an_embedding_goes_with_the_text_that_it_is_of(self) -> None:
        """Where a text got shorter no document of the result has the embedding of another text."""
        state = {"embedded_doc": [0.5, 0.5], "other": [1]}
        documents = [StatefulDocument(page_content=t, state=state) for t in (TEXT, "The theory.")]
        results = make(max_tokens=8, order="input").compress_documents(documents, QUERY)
        assert [each.page_content for each in results] == [KEPT, "The theory."]
        assert [each.state for each in results] == [{"other": [1]}] * 2  # type: ignore[attr-defined]
        assert all("embedded_doc" in each.state for each in documents)
        assert "embedded_doc" not in restore(results[0]).state  # type: ignore[attr-defined]

    def test_an_embedding_stays_with_its_text(self) -> None:
        """Where all texts stay, so do embeddings, which nobody has to compute again."""
        document = StatefulDocument(page_content=TEXT, state={"embedded_doc": [0.5]})
        [result] = make(top_p=1.0).compress_documents([document], QUERY)
        assert result.state == {"embedded_doc": [0.5]}  # type: ignore[attr-defined]
        assert result.state is not document.state  # type: ignore[attr-defined]

    @pytest.mark.parametrize("options", [{}, {"top_p": 0.5}])
    def test_frozen_documents(self, options: dict[str, Any]) -> None:
        """A frozen class is ranked, trimmed and restored as others are."""
        document = FrozenDocument(page_content=TEXT, metadata={"start_index": 3}, pages=[1])
        ranker = StubRanker(by_theories, hot="theory")
        rerank = AttentionRerank.from_ranker(ranker, keep_original=True, **options)
        [result] = rerank.compress_documents([document], QUERY)
        assert type(result) is FrozenDocument
        assert result.page_content == (KEPT if options else TEXT)
        assert result.pages == [1]
        assert result.pages is not document.pages
        assert restore(result) == document
        assert document.metadata == {"start_index": 3}
