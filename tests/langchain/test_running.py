"""The document compressor by itself: how it runs, fails, loads and is kept."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableParallel, RunnablePassthrough

from attnmass import AttentionRanker, shared_ranker
from langchain_attn import AttentionRerank
from tests.contract.stub import StubRanker
from tests.langchain.support import QUERY, CountingHandler, ListRetriever, fake, plain, word_ranker


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of every model that is loaded by name during a test."""
    seen: list[dict[str, Any]] = []
    load = AttentionRanker.from_pretrained

    def counted(name: str, **options: Any) -> AttentionRanker:
        seen.append({"name": name, **options})
        return load(name, **options)

    monkeypatch.setattr(AttentionRanker, "from_pretrained", counted)
    return seen


class TestErrors:
    """What a failure does."""

    def test_raise(self, documents: list[Document]) -> None:
        """By default an error reaches the caller as it is."""
        with pytest.raises(RuntimeError, match="broken"):
            fake(word_ranker(error=RuntimeError("broken"))).compress_documents(documents, QUERY)

    def test_passthrough(self, documents: list[Document], caplog: pytest.LogCaptureFixture) -> None:
        """The very documents come back, all and in order, with a warning that names the error."""
        rerank = fake(word_ranker(error=RuntimeError("broken")), on_error="passthrough", top_n=1)
        before = plain(documents)
        with (
            caplog.at_level(logging.WARNING, "langchain_attn"),
            pytest.warns(RuntimeWarning, match="RuntimeError: broken"),
        ):
            found = rerank.compress_documents(documents, QUERY)
        assert [id(document) for document in found] == [id(document) for document in documents]
        assert plain(documents) == before
        assert "RuntimeError: broken" in caplog.text

    async def test_passthrough_async(self, documents: list[Document]) -> None:
        """The asynchronous call passes documents through in the same way."""
        rerank = fake(word_ranker(error=RuntimeError("broken")), on_error="passthrough")
        with pytest.warns(RuntimeWarning, match="broken"):
            found = await rerank.acompress_documents(documents, QUERY)
        assert [id(document) for document in found] == [id(document) for document in documents]

    def test_missing_weights_pass_through(self, documents: list[Document]) -> None:
        """A model that cannot be found is an error like any other."""
        rerank = AttentionRerank(
            model="/nowhere/at/all", local_files_only=True, on_error="passthrough"
        )
        with pytest.warns(RuntimeWarning, match="/nowhere/at/all"):
            assert rerank.compress_documents(documents, QUERY) == documents


class TestCallbacks:
    """What a tracer sees."""

    @pytest.mark.parametrize("asynchronous", [False, True])
    @pytest.mark.parametrize("error", [None, RuntimeError("broken")])
    def test_balanced(
        self, documents: list[Document], asynchronous: bool, error: Exception | None
    ) -> None:
        """A call is one chain run that starts once and ends once, well or with an error."""
        handler, rerank = CountingHandler(), fake(word_ranker(error=error))

        def call() -> None:
            if asynchronous:
                asyncio.run(rerank.acompress_documents(documents, QUERY, [handler]))
            else:
                rerank.compress_documents(documents, QUERY, [handler])

        if error is None:
            call()
        else:
            with pytest.raises(RuntimeError):
                call()
        assert handler.counts == {"chain start": 1, f"chain {'error' if error else 'end'}": 1}
        assert set(handler.names.values()) == {"AttentionRerank"}

    def test_no_documents(self) -> None:
        """A call without documents is balanced too."""
        handler = CountingHandler()
        assert AttentionRerank().compress_documents([], QUERY, [handler]) == []
        assert handler.counts == {"chain start": 1, "chain end": 1}


class TestConcurrency:
    """Event loops and threads."""

    async def test_loop_goes_on(self, documents: list[Document]) -> None:
        """The event loop ticks while a slow model works in a thread of its own."""
        ranker = word_ranker(seconds=0.3)
        task = asyncio.ensure_future(fake(ranker).acompress_documents(documents, QUERY))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert (await task)[0].id == "id-1"
        assert ticks >= 5
        assert ranker.calls[0].thread.startswith("attnmass")

    async def test_async_equals_sync(
        self, rerank: AttentionRerank, documents: list[Document]
    ) -> None:
        """The asynchronous call gives what the synchronous one gives."""
        expected = rerank.compress_documents(documents, QUERY)
        assert await rerank.acompress_documents(documents, QUERY) == expected

    def test_sixteen_threads(self, rerank: AttentionRerank, documents: list[Document]) -> None:
        """Sixteen threads on one instance get the scores of one."""
        expected = rerank.compress_documents(documents, QUERY)
        with ThreadPoolExecutor(16) as pool:
            calls = [pool.submit(rerank.compress_documents, documents, QUERY) for _ in range(32)]
            assert all(call.result() == expected for call in calls)


class TestLoading:
    """When a model is loaded, and forgotten."""

    def test_no_documents_load_nothing(self, loads: list[dict[str, Any]]) -> None:
        """Without documents the result is empty and no model is loaded."""
        assert AttentionRerank().compress_documents([], QUERY) == []
        assert loads == []

    def test_shared_and_released(
        self,
        loads: list[dict[str, Any]],
        tiny_folder: Path,
        profile_file: str,
        documents: list[Document],
    ) -> None:
        """Adapters of one model load it once, on first use, and again after a release."""
        fields: dict[str, Any] = {"model": tiny_folder, "profile": profile_file}
        first, second = AttentionRerank(**fields), AttentionRerank(**fields, top_n=1)
        assert loads == []
        first.compress_documents(documents, QUERY)
        second.compress_documents(documents, QUERY)
        assert loads == [{"name": str(tiny_folder), "profile": profile_file}]
        first.release()
        second.compress_documents(documents, QUERY)
        assert len(loads) == 2

    def test_only_what_was_set_is_loaded_with(
        self, monkeypatch: pytest.MonkeyPatch, documents: list[Document]
    ) -> None:
        """Defaults are left out, so that keys of shared models stay equal."""
        asked: list[tuple[str, dict[str, Any]]] = []

        def load(name: str, **options: Any) -> StubRanker:
            asked.append((name, options))
            return word_ranker()

        monkeypatch.setattr(AttentionRanker, "from_pretrained", load)
        AttentionRerank().compress_documents(documents, QUERY)
        assert AttentionRerank()._load() is shared_ranker()
        AttentionRerank(model="m", dtype="float32", local_files_only=True)._load()
        assert asked == [
            ("smollm2-135m", {}),
            ("m", {"dtype": "float32", "local_files_only": True}),
        ]


class TestSerialization:
    """Adapters as data."""

    def test_dump_and_validate(self) -> None:
        """Fields go through JSON and come back."""
        rerank = AttentionRerank(top_n=None, fuse=0.5, document_template="{a} {page_content}")
        data = json.loads(rerank.model_dump_json())
        assert AttentionRerank.model_validate(data).model_dump() == rerank.model_dump()
        assert not [name for name in data if name.startswith("_")]

    def test_pickle_reloads_by_name(
        self, tiny_folder: Path, profile_file: str, documents: list[Document]
    ) -> None:
        """A pickled adapter holds no weights and loads its model by name on first use."""
        rerank = AttentionRerank(model=str(tiny_folder), profile=profile_file)
        expected = rerank.compress_documents(documents, QUERY)
        data = pickle.dumps(rerank)
        assert len(data) < 2000
        assert pickle.loads(data).compress_documents(documents, QUERY) == expected

    def test_pickle_of_a_ranker_drops_it(self, rerank: AttentionRerank) -> None:
        """A ranker that was handed in stays behind when its adapter is pickled."""
        copied = pickle.loads(pickle.dumps(rerank))
        assert copied.model_dump() == rerank.model_dump()
        assert copied._ranker is None
        assert rerank._ranker is not None

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
    def test_copies_share_the_ranker(
        self, rerank: AttentionRerank, documents: list[Document], copied: Any
    ) -> None:
        """A copy works with the same model in memory."""
        other = copied(rerank)
        assert other._ranker is rerank._ranker
        assert other.compress_documents(documents, QUERY) == rerank.compress_documents(
            documents, QUERY
        )


class TestRunnable:
    """The compressor as a step of a chain."""

    def test_sync(self, rerank: AttentionRerank, documents: list[Document]) -> None:
        """The step takes documents and query by name and gives what the compressor gives."""
        step = rerank.as_runnable()
        expected = rerank.compress_documents(documents, QUERY)
        inputs = {"documents": documents, "query": QUERY}
        assert step.invoke(inputs) == expected
        assert step.batch([inputs, inputs]) == [expected, expected]
        assert list(step.stream(inputs)) == [expected]

    async def test_in_a_chain_without_a_retriever(
        self, rerank: AttentionRerank, documents: list[Document]
    ) -> None:
        """Documents from anywhere go in beside the query, ranked ones into the next step."""
        chain = (
            RunnablePassthrough.assign(documents=lambda asked: asked["found"])
            | rerank.as_runnable()
            | (lambda ranked: [document.page_content for document in ranked])
        )
        asked = {"query": QUERY, "found": documents}
        expected = [found.page_content for found in rerank.compress_documents(documents, QUERY)]
        assert chain.invoke(asked) == await chain.ainvoke(asked) == expected
        assert chain.batch([asked, {**asked, "found": []}]) == [expected, []]
        assert rerank.as_runnable().invoke({"query": QUERY, "documents": tuple(documents)})

    async def test_async_in_a_chain(
        self, rerank: AttentionRerank, documents: list[Document]
    ) -> None:
        """The step works behind a retriever in an asynchronous chain, and streams."""
        source = ListRetriever(documents=documents, k=8)
        chain = (
            RunnableParallel(documents=source, query=RunnablePassthrough()) | rerank.as_runnable()
        )
        expected = rerank.compress_documents(documents, QUERY)
        assert await chain.ainvoke(QUERY) == expected
        assert [found async for found in chain.astream(QUERY)] == [expected]
