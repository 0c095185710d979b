"""The load run: what it asks, what it finds wrong, and what it says of memory."""

from __future__ import annotations

import json
import random
from collections import Counter

import httpx
import pytest

from benchmarks import load


def test_a_small_run() -> None:
    """Seconds of it, over a real server: all is answered as it should be, and memory is sampled."""
    told = load.run(seconds=4, clients=6, dtype="float32")
    assert told["wrong"] == []
    assert (told["errors_logged"], told["exit_code"]) == (0, 0)
    answered = sum(kind["statuses"].get("200", 0) for kind in told["kinds"].values())
    assert answered >= 10
    assert len(told["memory"]["samples"]) >= 5
    assert told["memory"]["most"] >= told["memory"]["first"] > 50 << 20
    assert "No answer was wrong, no error was logged" in load.render(told)


def test_every_kind_is_asked() -> None:
    """Chance leaves no kind of request out, and the same seed asks the same."""
    numbers = random.Random(0)
    kinds = Counter(load.request(numbers)[0] for _ in range(500))
    assert len(kinds) == 11
    assert load.request(random.Random(7)) == load.request(random.Random(7))


@pytest.mark.parametrize(
    ("answer", "is_whole"),
    [
        (
            {"results": [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": 0}]},
            True,
        ),
        ([{"index": 0, "score": 0.5}, {"index": 1, "score": 0.25}], True),
        ([{"index": 0, "score": 0.5}], False),
        ([{"index": 0, "score": 0.5}, {"index": 0, "score": 0.5}], False),
        ([{"index": 0, "score": float("nan")}, {"index": 1, "score": 0.5}], False),
        ([{"index": 0, "score": None}, {"index": 1, "score": 0.5}], False),
    ],
)
def test_what_a_whole_answer_is(answer: object, is_whole: bool) -> None:
    """A finite score for each text, once."""
    assert load._is_whole(answer, 2) is is_whole


@pytest.mark.parametrize(
    ("status", "body", "wrong"),
    [(200, [], True), (500, {}, True), (429, {}, True), (200, None, False)],
)
async def test_what_is_wrong_is_found(status: int, body: object, wrong: bool) -> None:
    """An answer that lacks scores, an error of the server's, and a bare 429 are told."""

    def answer(request: httpx.Request) -> httpx.Response:
        count = len(json.loads(request.content)["documents"])
        rows = [{"index": index, "relevance_score": 0.5} for index in range(count)]
        return httpx.Response(status, json={"results": rows} if body is None else body)

    class Reranks(random.Random):
        """Chooses the first kind."""

        def choices(self, population: object, *_: object, **__: object) -> list[object]:
            return [population[0]]  # type: ignore[index]

    seen = load.Seen()
    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        await load._one(client, Reranks(1), seen)
    assert bool(seen.wrong) is wrong
    assert seen.statuses["rerank"][str(status)] == 1


def test_growth() -> None:
    """What grows by a megabyte a minute is told so; what grows only at first is flat."""
    grows = load.memory_of([(float(at), 100 * 2**20 + at * 2**20 // 60) for at in range(600)])
    assert grows["growth_a_minute"] == pytest.approx(2**20, rel=0.01)
    flat = load.memory_of([(float(at), min(at, 100) * 2**20) for at in range(600)])
    assert flat["growth_a_minute"] == pytest.approx(0, abs=10)
    assert len(flat["samples"]) <= 160
