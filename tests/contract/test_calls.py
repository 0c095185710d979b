"""What both adapters promise of calls: from event loops, from threads, and those that fail."""

from __future__ import annotations

import asyncio
import copy
import logging
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from attnmass import AttentionRanker
from tests.contract.adapters import Adapter
from tests.contract.candidates import CANDIDATES, QUERY
from tests.contract.stub import StubRanker


@pytest.mark.in_process
def test_batch_size_reaches_the_core(adapter: Adapter) -> None:
    """`batch_size` is passed with each call."""
    stub = StubRanker()
    rerank = adapter.telling(stub, batch_size=3)
    adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    assert stub.calls[0].options["batch_size"] == 3


@pytest.mark.in_process
@pytest.mark.parametrize("shown", [False, True])
def test_show_progress_reaches_the_core(adapter: Adapter, *, shown: bool) -> None:
    """`show_progress` is passed with each call, and off by default."""
    stub = StubRanker()
    rerank = adapter.telling(stub, **({"show_progress": True} if shown else {}))
    adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    assert stub.calls[0].options["progress"] is (shown or None)


async def test_async_gives_the_same(adapter: Adapter, ranker: AttentionRanker) -> None:
    """Several calls at once from an event loop give what the blocking call gives."""
    rerank, found = adapter.telling(ranker), adapter.build(CANDIDATES)
    expected = adapter.run(rerank, found, QUERY)
    calls = [adapter.arun(rerank, found, QUERY) for _ in range(4)]
    for result in await asyncio.gather(*calls):
        if not adapter.is_remote:
            assert adapter.read(result) == adapter.read(expected)
        # A server answers several requests in one call, which adds in another order.
        assert [i.id for i in adapter.read(result)] == [i.id for i in adapter.read(expected)]
        scores = [item.score for item in adapter.read(expected)]
        assert [item.score for item in adapter.read(result)] == pytest.approx(scores)


async def test_async_leaves_the_loop_free(adapter: Adapter) -> None:
    """While the model works in a thread of its own, the event loop goes on."""
    stub = StubRanker(seconds=0.3)
    rerank, found = adapter.telling(stub), adapter.build(CANDIDATES)
    working = asyncio.ensure_future(adapter.arun(rerank, found, QUERY))
    ticks = 0
    while not working.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert len(await working) == len(CANDIDATES)
    assert ticks >= 5
    assert stub.calls[0].thread.startswith("attnmass")


def test_sixteen_threads_score_as_one(adapter: Adapter, ranker: AttentionRanker) -> None:
    """Many threads may call one instance."""
    rerank, found = adapter.telling(ranker), adapter.build(CANDIDATES)
    expected = [item.score for item in adapter.read(adapter.run(rerank, found, QUERY))]
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: adapter.run(rerank, found, QUERY), range(32)))
    for result in results:
        assert [item.score for item in adapter.read(result)] == pytest.approx(expected)


def test_errors_are_raised_by_default(adapter: Adapter) -> None:
    """A failure is the caller's to see."""
    rerank = adapter.telling(StubRanker(error=RuntimeError("boom")))
    with pytest.raises(RuntimeError, match="boom"):
        adapter.run(rerank, adapter.build(CANDIDATES), QUERY)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_passthrough(adapter: Adapter, caplog: pytest.LogCaptureFixture, *, is_async: bool) -> None:
    """Under `passthrough` all candidates come back untouched, and a warning names the error."""
    stub = StubRanker(error=RuntimeError("boom"))
    rerank = adapter.telling(stub, top_n=2, on_error="passthrough")
    found = adapter.build(CANDIDATES)
    before = copy.deepcopy(found)
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        if is_async:
            result = asyncio.run(adapter.arun(rerank, found, QUERY))
        else:
            result = adapter.run(rerank, found, QUERY)
    assert result == before == found
    assert result is not found
    told = [str(warning.message) for warning in warned] + caplog.messages
    assert told
    said = "the model failed on this input: " if adapter.is_remote else ""
    assert all(f"RuntimeError: {said}boom" in message for message in told)
