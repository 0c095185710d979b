"""The queue, and the one thread that the model runs in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from attnmass import AttentionRanker, CaptureError, Chunk
from attnmass.serving.errors import HttpError, TryLater
from attnmass.serving.work import SLICE, Call, Rank, Several, Warm, slices
from attnmass.serving.worker import ModelWorker
from tests.serving.conftest import QUERY, TEXTS, Watched, until

CHUNKS = tuple(map(Chunk, TEXTS))
OTHERS = tuple(map(Chunk, reversed(TEXTS)))


async def eventually(holds: Callable[[], object]) -> None:
    """Let the loop go on until something holds."""
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not come to that")


def worker_of(watched: Any, *, queue_size: int = 8, batch_requests: int = 8) -> ModelWorker:
    """A worker that is ready."""
    worker = ModelWorker(lambda: watched, queue_size=queue_size, batch_requests=batch_requests)
    worker.start()
    until(lambda: worker.is_ready)
    return worker


async def busy(worker: ModelWorker, watched: Watched) -> Awaitable[Any]:
    """Have the worker wait before the gate with a first request."""
    watched.gate.clear()
    first = asyncio.ensure_future(worker.run(Rank("the first one", CHUNKS), 30))
    await eventually(lambda: watched.calls)
    return first


async def test_queries_over_the_same_chunks_share_a_call(watched: Watched) -> None:
    """What waited is answered together, and each gets its own ranking."""
    worker = worker_of(watched)
    first = await busy(worker, watched)
    works = [Rank(QUERY, CHUNKS), Rank("rain?", OTHERS), Rank("trains?", tuple(CHUNKS))]
    waiting = [asyncio.ensure_future(worker.run(work, 30)) for work in works]
    await eventually(lambda: worker.depth == 3)
    watched.gate.set()
    rankings = await asyncio.gather(first, *waiting)
    assert watched.calls == [["the first one"], [QUERY, "trains?"], ["rain?"]]
    assert [ranking.query for ranking in rankings[1:]] == [work.query for work in works]
    alone = watched.rank_batch(["trains?"], CHUNKS)[0]
    assert rankings[3].scores == pytest.approx(alone.scores, abs=1e-6)
    worker.stop()


async def test_batches_are_bounded(watched: Watched) -> None:
    """No more requests are answered together than the option says."""
    worker = worker_of(watched, batch_requests=2)
    first = await busy(worker, watched)
    waiting = [asyncio.ensure_future(worker.run(Rank(f"{n}?", CHUNKS), 30)) for n in range(3)]
    await eventually(lambda: worker.depth == 3)
    watched.gate.set()
    await asyncio.gather(first, *waiting)
    assert list(map(len, watched.calls)) == [1, 2, 1]
    worker.stop()


async def test_other_options_are_another_call(watched: Watched) -> None:
    """Only what is asked for alike is answered together."""
    worker = worker_of(watched)
    first = await busy(worker, watched)
    works = [Rank(QUERY, CHUNKS, {"top_n": n}, settled=n) for n in (1, 2)]
    waiting = [asyncio.ensure_future(worker.run(work, 30)) for work in works]
    await eventually(lambda: worker.depth == 2)
    watched.gate.set()
    found = await asyncio.gather(first, *waiting)
    assert [len(ranking.chunks) for ranking in found] == [3, 1, 2]
    worker.stop()


async def test_a_full_queue_says_so(watched: Watched) -> None:
    """One more than may wait is told to come back; then there is room again."""
    worker = worker_of(watched, queue_size=2)
    first = await busy(worker, watched)
    waiting = [asyncio.ensure_future(worker.run(Rank(QUERY, CHUNKS), 30)) for _ in range(2)]
    await eventually(lambda: worker.depth == 2)
    with pytest.raises(TryLater, match="2 requests are already waiting") as caught:
        await worker.run(Rank(QUERY, CHUNKS), 30)
    assert caught.value.status == 429
    assert int(caught.value.headers["Retry-After"]) >= 1
    assert worker.is_ready
    watched.gate.set()
    await asyncio.gather(first, *waiting)
    assert (await worker.run(Rank(QUERY, CHUNKS), 30)).query == QUERY
    worker.stop()


async def test_who_left_is_not_asked_for(watched: Watched) -> None:
    """A request that was cancelled leaves the queue at once, and the model never sees it."""
    worker = worker_of(watched)
    first = await busy(worker, watched)
    leaving = asyncio.ensure_future(worker.run(Rank("leaves", CHUNKS), 30))
    await eventually(lambda: worker.depth == 1)
    leaving.cancel()
    await eventually(lambda: worker.depth == 0)
    watched.gate.set()
    await first
    await worker.run(Rank("stays", CHUNKS), 30)
    assert watched.calls == [["the first one"], ["stays"]]
    worker.stop()


async def test_who_waited_too_long_is_not_asked_for(watched: Watched) -> None:
    """A request whose time is over is told to come back, and the model never sees it."""
    worker = worker_of(watched)
    first = await busy(worker, watched)
    with pytest.raises(TryLater, match=r"within 0\.05 seconds") as caught:
        await worker.run(Rank("late", CHUNKS), 0.05)
    assert (caught.value.status, caught.value.kind) == (503, "timeout")
    assert worker.depth == 0
    watched.gate.set()
    await first
    assert watched.calls == [["the first one"]]
    worker.stop()


async def test_one_bad_request_spoils_no_other(watched: Watched) -> None:
    """Where a call fails, each of its requests is tried alone, and only the one to blame fails."""
    watched.error = {"bad": ValueError("the query has too many tokens")}
    worker = worker_of(watched)
    first = await busy(worker, watched)
    waiting = [asyncio.ensure_future(worker.run(Rank(q, CHUNKS), 30)) for q in ("good", "bad")]
    await eventually(lambda: worker.depth == 2)
    watched.gate.set()
    _, good, bad = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert good.query == "good"
    assert isinstance(bad, HttpError)
    assert (bad.status, str(bad)) == (400, "the query has too many tokens")
    worker.stop()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CaptureError("NaN in layer 3"), 424),
        (RuntimeError("CUDA error"), 424),
        (MemoryError(), 424),
        (ValueError("too long"), 400),
    ],
)
async def test_failures_of_the_model(watched: Watched, error: Exception, status: int) -> None:
    """What the model says of an input is told to whoever sent it, and the next one is answered."""
    watched.error = {"bad": error}
    worker = worker_of(watched)
    with pytest.raises(HttpError) as caught:
        await worker.run(Rank("bad", CHUNKS), 30)
    assert caught.value.status == status
    assert (await worker.run(Rank("good", CHUNKS), 30)).query == "good"
    worker.stop()


async def test_a_bug_is_no_fault_of_the_input(watched: Watched) -> None:
    """What nobody foresaw is handed on as it is."""
    watched.error = {"bad": KeyError("oops")}
    worker = worker_of(watched)
    with pytest.raises(KeyError):
        await worker.run(Rank("bad", CHUNKS), 30)
    worker.stop()


async def test_a_dead_worker_takes_nothing(watched: Watched) -> None:
    """When the thread ends by itself all who wait are told, and whoever runs the server, too."""
    died: list[bool] = []
    watched.error = {"first": SystemExit(3)}
    worker = ModelWorker(
        lambda: watched,  # type: ignore[arg-type, return-value]
        queue_size=8,
        batch_requests=8,
        on_death=lambda: died.append(True),
    )
    worker.start()
    until(lambda: worker.is_ready)
    first = await busy(worker, watched)
    second = asyncio.ensure_future(worker.run(Rank(QUERY, OTHERS), 30))
    await eventually(lambda: worker.depth == 1)
    watched.gate.set()
    found = await asyncio.gather(first, second, return_exceptions=True)
    assert [(type(each), each.status) for each in found] == [(TryLater, 503)] * 2
    assert (worker.is_alive, worker.is_ready) == (False, False)
    await eventually(lambda: died == [True])  # those who wait come first
    assert isinstance(worker.failure, SystemExit)
    with pytest.raises(TryLater, match="has ended"):
        await worker.run(Rank(QUERY, CHUNKS), 30)


async def test_a_model_that_does_not_load(watched: Watched) -> None:
    """Why it does not is kept for whoever started the server."""

    def load() -> AttentionRanker:
        raise OSError("no weights")

    worker = ModelWorker(load, queue_size=8, batch_requests=8)
    with pytest.raises(TryLater, match="is being loaded"):
        worker.check_ready()
    worker.start()
    until(lambda: not worker.is_alive)
    assert str(worker.failure) == "no weights"


async def test_draining_answers_what_waits(watched: Watched) -> None:
    """Nothing new is taken, and what was taken is answered."""
    worker = worker_of(watched)
    first = await busy(worker, watched)
    second = asyncio.ensure_future(worker.run(Rank(QUERY, OTHERS), 30))
    await eventually(lambda: worker.depth == 1)
    worker.drain()
    with pytest.raises(TryLater, match="going down") as caught:
        await worker.run(Rank(QUERY, CHUNKS), 30)
    assert caught.value.status == 503
    watched.gate.set()
    found = await asyncio.gather(first, second)
    assert [ranking.query for ranking in found] == ["the first one", QUERY]
    await eventually(lambda: not worker.depth and not worker._running)
    worker.stop()


async def test_a_large_request_lets_others_pass(watched: Watched) -> None:
    """Its chunks are read in slices, between which a small request has its turn."""
    many = tuple(Chunk(f"Text {n} of many.") for n in range(2 * SLICE + 1))
    worker = worker_of(watched)
    first = await busy(worker, watched)
    large = asyncio.ensure_future(worker.run(Rank("large", many), 30))
    small = asyncio.ensure_future(worker.run(Rank("small", CHUNKS), 30))
    await eventually(lambda: worker.depth == 2)
    watched.gate.set()
    rankings = await asyncio.gather(first, large, small)
    assert watched.calls == [["the first one"], ["small"], ["large"]]
    assert watched.warmed == [SLICE, SLICE, 1]
    whole = watched.rank_batch(["large"], many)[0]
    assert rankings[1].scores == whole.scores
    await worker.run(Rank("again", many), 30)
    assert watched.warmed == [SLICE, SLICE, 1]  # what was read is known without a look
    worker.stop()


async def test_few_long_chunks_are_read_in_slices_too(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is how much there is to read, not only in how many chunks."""
    monkeypatch.setattr("attnmass.serving.work.SLICE_CHARACTERS", 100)
    long = tuple(
        Chunk(f"Text {n} " + "of words " * length) for n, length in enumerate((3, 3, 9, 20))
    )
    worker = worker_of(watched)
    ranking = await worker.run(Rank("long", long), 30)
    assert watched.warmed == [2, 1, 1]
    assert ranking.scores == watched.rank_batch(["long"], long)[0].scores
    worker.stop()


@pytest.mark.parametrize("n", [0, 1, SLICE, SLICE + 1, 3 * SLICE])
def test_slices_are_all_chunks_in_order(n: int) -> None:
    """Nothing is lost, none is empty, none too large."""
    chunks = [Chunk(f"Text {place}.") for place in range(n)]
    parts = slices(chunks)
    assert [chunk for part in parts for chunk in part] == chunks
    assert [len(part) for part in parts] == [SLICE] * (n // SLICE) + [n % SLICE] * bool(n % SLICE)


async def test_many_queries_of_one_request_let_others_pass(watched: Watched) -> None:
    """A request of several queries has a call for each, between which others have their turn."""
    worker = worker_of(watched)
    first = await busy(worker, watched)
    ranks = (Rank("one?", CHUNKS), Rank("two?", OTHERS))
    several = asyncio.ensure_future(worker.run(Several(ranks), 30))
    small = asyncio.ensure_future(worker.run(Rank("small", CHUNKS), 30))
    await eventually(lambda: worker.depth == 2)
    watched.gate.set()
    rankings = (await asyncio.gather(first, several, small))[1]
    assert watched.calls == [["the first one"], ["one?"], ["small"], ["two?"]]
    assert [ranking.query for ranking in rankings] == ["one?", "two?"]
    worker.stop()


async def test_warming_counts_all_slices(watched: Watched) -> None:
    """What was read in slices is told as one."""
    many = (*(Chunk(f"Text {n} to warm.") for n in range(SLICE + 2)), Chunk(" "))
    worker = worker_of(watched)
    done = await worker.run(Warm(many), 30)
    assert (done.read, done.unreadable) == (SLICE + 2, 1)
    done = await worker.run(Warm(many), 30)
    assert (done.read, done.skipped) == (0, SLICE + 2)
    worker.stop()


async def test_a_store_that_is_too_small_is_not_read_into_twice() -> None:
    """Where slices would push each other out, the chunks are read when they are ranked."""
    from tests.tiny import tiny_model, tiny_tokenizer

    small = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=((1, 0),), memory_bytes=20_000)
    watched = Watched(small)
    worker = worker_of(watched)
    many = tuple(Chunk(f"Text {n} of many.") for n in range(3 * SLICE))
    ranking = await worker.run(Rank(QUERY, many), 60)
    assert len(ranking.chunks) == 3 * SLICE
    assert watched.warmed == [SLICE]
    worker.stop()


async def test_other_calls_have_their_turn(watched: Watched) -> None:
    """Whatever else is asked of the ranker runs in the same thread."""
    import threading

    worker = worker_of(watched)
    name = await worker.run(Call(lambda ranker: threading.current_thread().name), 30)
    assert name == "attnmass-model"
    worker.stop()
