"""The ranker's verbs: for one query and several, with and without an event loop, plain lists."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest

from attnmass import AttentionRanker, Chunk, Ranking, Trim
from tests.test_ranker import CHUNKS, QUERY

QUERIES = [QUERY, "Where does the river run?"]
VERBS: dict[str, tuple[Any, dict[str, Any]]] = {
    "rank": (QUERY, {"top_n": 2}),
    "rank_batch": (QUERIES, {"top_n": 2}),
    "trim": (QUERY, {"keep_ratio": 0.6, "top_n": 2}),
    "trim_batch": (QUERIES, {"keep_ratio": 0.6, "top_n": 2}),
    "order": (QUERY, {"top_n": 2}),
}


def kept(found: Any) -> Any:
    """What is compared: without timings."""
    if isinstance(found, Ranking):
        return found.chunks, found.dropped, found.scores, found.notes
    return [kept(each) for each in found] if isinstance(found, list) else found


@pytest.mark.parametrize("verb", VERBS)
async def test_each_has_its_async_twin(ranker: AttentionRanker, verb: str) -> None:
    """It takes the same, gives the same, and leaves the event loop's thread alone."""
    query, options = VERBS[verb]
    plain, twin = getattr(ranker, verb), getattr(ranker, f"a{verb}")
    assert inspect.signature(plain).parameters == inspect.signature(twin).parameters
    threads: list[str] = []
    run = ranker._run

    def noted(*args: Any, **kwargs: Any) -> Any:
        threads.append(threading.current_thread().name)
        return run(*args, **kwargs)

    ranker._run = noted  # type: ignore[method-assign]
    try:
        found = await asyncio.gather(*(twin(query, CHUNKS, **options) for _ in range(3)))
    finally:
        del ranker._run
    assert all(name.startswith("attnmass") for name in threads)
    assert threads
    assert [kept(each) for each in found] == [kept(plain(query, CHUNKS, **options))] * 3


def test_a_batch_trims_each_query_as_it_does_alone(ranker: AttentionRanker) -> None:
    """One ranking for each query, in order, and the budget is each query's own."""
    options: Any = {"max_tokens": 14, "on_empty": "cut"}
    found = ranker.trim_batch(QUERIES, CHUNKS, **options)
    for query, ranking in zip(QUERIES, found, strict=True):
        alone = ranker.trim(query, CHUNKS, **options)
        assert ranking.query == query
        assert [chunk.text for chunk in ranking.chunks] == [chunk.text for chunk in alone.chunks]
        assert ranking.n_tokens_after == alone.n_tokens_after
        assert 0 < (ranking.n_tokens_after or 0) <= 14
    assert ranker.trim_batch([], CHUNKS, keep_ratio=0.5) == []


def test_order_takes_and_gives_a_plain_list(ranker: AttentionRanker) -> None:
    """The very texts in the order of `rank`, ties and blank ones as there, `top_n` of them."""
    texts = [*CHUNKS, "", CHUNKS[0], "nul \x00 and \ud800"]
    ranking = ranker.rank(QUERY, texts)
    found = ranker.order(QUERY, texts)
    assert found == [texts[chunk.index] for chunk in ranking.chunks]
    assert ranker.order(QUERY, texts, top_n=2) == found[:2]
    assert ranker.order(QUERY, []) == []
    assert ranker.order(QUERY, [Chunk(CHUNKS[1], title="A title")]) == [CHUNKS[1]]
    assert ranker.order(QUERY, texts, order="input") == texts


def test_order_trims_where_that_is_asked_for(ranker: AttentionRanker) -> None:
    """With `trim` the list has what is kept of the texts."""
    trim = Trim(keep_ratio=0.6)
    ranking = ranker.rank(QUERY, CHUNKS, trim=trim)
    assert ranker.order(QUERY, CHUNKS, trim=trim) == [chunk.text for chunk in ranking.chunks]


def test_a_call_says_how_much_it_keeps(ranker: AttentionRanker) -> None:
    """`top_n` and `min_relevance` are each call's; the next one has the defaults again."""
    assert len(ranker.rank(QUERY, CHUNKS, top_n=1).chunks) == 1
    assert len(ranker.rank(QUERY, CHUNKS).chunks) == 3
