"""What is too large, too slow, malformed, or not allowed in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from attnmass.serving.app import make_app
from attnmass.serving.body import Room, read_json
from attnmass.serving.errors import BadRequest, TryLater
from attnmass.serving.options import ServingOptions
from attnmass.serving.service import Service
from tests.serving.conftest import QUERY, TEXTS, Watched, serving, until

ASKED = {"query": QUERY, "documents": TEXTS}


def chunked(body: bytes, size: int = 1000) -> Iterator[bytes]:
    """A body that is sent without saying how long it is."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("send", [lambda body: body, chunked])
def test_bodies_are_bounded(watched: Watched, send: Any) -> None:
    """One byte too much is too much, announced or not; one byte less is not."""
    body = json.dumps(ASKED).encode()
    with serving(watched, max_body_bytes=len(body)) as client:
        assert client.post("/rerank", content=send(body)).status_code == 200
        answer = client.post("/rerank", content=send(body + b" "))
        assert answer.status_code == 413
        assert answer.json()["error_type"] == "payload_too_large"
        assert client.post("/rerank", content=send(body)).status_code == 200


def test_documents_are_bounded(watched: Watched) -> None:
    """As many documents as the option says are read, on every route."""
    with serving(watched, max_documents=3) as client:
        assert client.post("/rerank", json=ASKED).status_code == 200
        for path, body in (
            ("/rerank", {**ASKED, "documents": ["a"] * 4}),
            ("/score", {"text_1": ["a", "b"] * 2, "text_2": ["a"] * 4}),
            ("/v1/warm", {"documents": ["a"] * 4}),
        ):
            answer = client.post(path, json=body)
            assert answer.status_code == 413
            assert "4 documents" in answer.json()["message"]


def test_long_texts_are_no_error(client: Any) -> None:
    """A document far longer than the model's window is read in windows."""
    long = " ".join(f"Word {n}." for n in range(2000))
    answer = client.post("/rerank", json={"query": QUERY, "documents": [long, TEXTS[1]]})
    assert answer.status_code == 200
    assert len(answer.json()["results"]) == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"\xff\xfe", "the body is not UTF-8, from byte 0 on"),
        (b'{"query": "\xc3("}', "the body is not UTF-8, from byte 11 on"),
        (b'{"query": NaN}', "the body is not JSON: NaN is not a JSON number"),
        (b'{"top_n": -Infinity}', "the body is not JSON: -Infinity is not a JSON number"),
        (b"[" * 100_000, "the body's JSON is nested too deeply"),
        (b'{"a":' * 100_000, "the body's JSON is nested too deeply"),
        (
            b'{"n": ' + b"9" * 5000 + b"}",
            "the body is not JSON: a number has more than 4,300 digits",
        ),
        (b'{"query": 1e999}', "the body is not JSON: a number is too large for a float"),
        (b"null", "the body must be a JSON object, not null"),
        (b'{"query": "a"', "the body is not JSON"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_malformed_bodies(client: Any, body: bytes, message: str) -> None:
    """Whatever is in a body, it is told in a sentence, with nothing of the body in it."""
    answer = client.post("/rerank", content=body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)


def test_numbers_beyond_floats_do_no_harm(client: Any) -> None:
    """1e999 would be infinite once read, and no answer could repeat it: refused wherever it is."""
    for fields in ('"top_n": 1e999', '"score_threshold": -1e999', '"min_relevance": 1e999'):
        body = f'{{"query": "a", "documents": ["b"], {fields}}}'
        assert client.post("/v1/trim", content=body).status_code == 400
    body = '{"query": "a", "documents": [{"text": "b", "metadata": {"n": [1e999]}}]}'
    for route in ("/rerank", "/v1/trim", "/v1/explain", "/v1/warm"):
        assert client.post(route, content=body).status_code == 400
    with pytest.raises(BadRequest):
        read_json(b"[]")


def test_compressed_bodies_are_refused(client: Any) -> None:
    """What would have to be unpacked first is not read: a small body may be a large one."""
    answer = client.post("/rerank", content=b"x", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert "gzip" in answer.json()["message"]


def test_bodies_share_their_room() -> None:
    """Many bodies at once may not take more than one bound, and give back what they took."""
    room = Room(100)
    with room.place() as one, room.place() as other:
        one.take(60)
        with pytest.raises(TryLater) as caught:
            other.take(60)
        assert caught.value.status == 429
        other.take(40)
        assert room.taken == 100
    assert room.taken == 0
    with room.place() as alone:
        alone.take(100)


async def test_slow_senders_are_told() -> None:
    """A body that trickles in is given up, and its room is free again."""

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"query": '
        await asyncio.sleep(30)
        yield b'"a"}'

    service = Service(lambda: None, ServingOptions(body_timeout=1))  # type: ignore[arg-type, return-value]
    service.worker._ranker = object()  # type: ignore[assignment]
    transport = httpx.ASGITransport(make_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/rerank", content=slow())
    assert answer.status_code == 408
    assert answer.json()["error_type"] == "request_timeout"
    assert service._room.taken == 0


class Asgi:
    """Sends one request by hand, and leaves when told."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.leave = asyncio.Event()
        self.sent: list[Any] = []
        self._received = False

    async def receive(self) -> Any:
        """The body, then nothing until it leaves."""
        if not self._received:
            self._received = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Remember it."""
        self.sent.append(message)

    async def __call__(self, app: Any) -> None:
        """Send it."""
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/rerank",
            "raw_path": b"/rerank",
            "query_string": b"",
            "headers": [],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("test", 80),
            "client": ("test", 1),
        }
        await app(scope, self.receive, self.send)


async def test_clients_that_leave_are_not_computed_for(watched: Watched) -> None:
    """Whoever hangs up while waiting leaves the queue before the forward pass."""
    service = Service(lambda: watched, ServingOptions())  # type: ignore[arg-type, return-value]
    app = make_app(service)
    service.worker.start()
    until(lambda: service.worker.is_ready)
    watched.gate.clear()
    requests = [Asgi(json.dumps({**ASKED, "query": f"{n}?"}).encode()) for n in range(3)]
    tasks = [asyncio.ensure_future(requests[0](app))]
    while not watched.calls:
        await asyncio.sleep(0.005)
    tasks += [asyncio.ensure_future(request(app)) for request in requests[1:]]
    while service.worker.depth < 2:
        await asyncio.sleep(0.005)
    requests[1].leave.set()
    await tasks[1]
    while service.worker.depth > 1:
        await asyncio.sleep(0.005)
    assert requests[1].sent[0]["status"] == 499
    watched.gate.set()
    await asyncio.gather(*tasks)
    assert watched.calls == [["0?"], ["2?"]]
    assert requests[2].sent[0]["status"] == 200
    assert service._room.taken == 0
    service.worker.stop()


def test_a_full_queue_over_http(watched: Watched) -> None:
    """Requests that find no room get 429 and when to come back, and readiness is untouched."""

    async def run() -> list[httpx.Response]:
        service = Service(lambda: watched, ServingOptions(queue_size=2))  # type: ignore[arg-type, return-value]
        app = make_app(service)
        service.worker.start()
        until(lambda: service.worker.is_ready)
        watched.gate.clear()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test"
        ) as client:
            tasks = [asyncio.ensure_future(client.post("/rerank", json=ASKED))]
            while not watched.calls:
                await asyncio.sleep(0.005)
            tasks += [asyncio.ensure_future(client.post("/rerank", json=ASKED)) for _ in range(5)]
            while sum(task.done() for task in tasks) < 3:
                await asyncio.sleep(0.005)
            assert (await client.get("/ready")).status_code == 200
            assert (await client.get("/health")).status_code == 200
            watched.gate.set()
            answers = await asyncio.gather(*tasks)
        service.worker.stop()
        return answers

    answers = asyncio.run(run())
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429, 429, 429]
    for answer in answers:
        if answer.status_code == 429:
            assert answer.headers["Retry-After"] == "1"
            assert answer.json()["error_type"] == "queue_full"


def test_unready_is_503(watched: Watched) -> None:
    """Until the model is there, and once the server drains, requests are told to come back."""
    with serving(watched) as client:
        worker = client.service.worker  # type: ignore[attr-defined]
        worker._ranker = None
        for answer in (client.post("/rerank", json=ASKED), client.get("/ready")):
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "5"
        assert client.get("/health").status_code == client.head("/health").status_code == 200
        assert client.head("/ready").status_code == 503
        worker._ranker = watched
        worker.drain()
        answer = client.post("/rerank", json=ASKED)
        assert (answer.status_code, answer.json()["error_type"]) == (503, "draining")


KEYS = "first-key, second-key"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer first-key"}, 200),
        ({"Authorization": "bearer second-key"}, 200),
        ({"Authorization": "second-key"}, 200),
        ({"X-API-Key": "first-key"}, 200),
        ({"Authorization": "Bearer first-ke"}, 401),
        ({"Authorization": "Bearer first-key, second-key"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Basic first-key"}, 401),
        ({"Authorization": b"Bearer \xff"}, 401),
    ],
)
def test_keys(watched: Watched, headers: Any, status: int) -> None:
    """Any of the keys lets a request in, with or without Bearer, and nothing else does."""
    with serving(watched, api_keys=KEYS) as client:
        answer = client.post("/rerank", json=ASKED, headers=headers)
        assert answer.status_code == status
        if status == 401:
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.json()["error_type"] == "unauthorized"
        for path in ("/health", "/ready"):
            assert client.get(path).status_code == 200
        for path in ("/metrics", "/info", "/nothing", "/openapi.json"):
            assert client.get(path).status_code == 401


def test_keys_from_a_file(tmp_path: Any) -> None:
    """Each line is a key, but for comments and blank ones; those of the option are let in, too."""
    file = tmp_path / "keys"
    file.write_text("# ours\none\n\n  two  \none\n")
    options = ServingOptions(api_key_file=file, api_keys="three")
    assert options.keys() == (b"three", b"one", b"two")
    assert "three" not in repr(options)
    file.write_text("# none\n")
    with pytest.raises(ValueError, match="has no key"):
        options.keys()
    with pytest.raises(ValueError, match="printable ASCII"):
        ServingOptions(api_keys="schlüssel").keys()
    with pytest.raises(ValueError, match="names no key"):
        ServingOptions(api_keys=" , ").keys()


def test_no_other_origin_unless_named(watched: Watched) -> None:
    """Browsers may call from origins that are named, and by default from none."""
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    with serving(watched) as client:
        answer = client.options("/rerank", headers=preflight)
        assert "access-control-allow-origin" not in answer.headers
    with serving(watched, cors_origins="https://a.example", api_keys="k") as client:
        answer = client.options("/rerank", headers=preflight)
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        answer = client.options("/rerank", headers=preflight | {"Origin": "https://b.example"})
        assert answer.status_code == 400
        assert set(answer.json()) == {"message", "detail", "error", "error_type"}
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]
        answer = client.post("/rerank", json=ASKED, headers={"Origin": "https://a.example"})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == "https://a.example"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 70_000}, "port must be at most 65535"),
        ({"max_body_bytes": 1 << 40}, "max_pending_bytes=268435456 has no room"),
        ({"cors_origins": "a.example"}, "'a.example', which is not an origin"),
        ({"queue_size": 0}, "queue_size must be at least 1"),
        ({"scores": "best"}, "scores must be one of"),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    """What is off is said before anything is loaded."""
    with pytest.raises(ValueError, match=message):
        ServingOptions(**options)


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/rerank", 405)])
def test_unknown_paths_and_methods(client: Any, path: str, status: int) -> None:
    """They have the one body, too."""
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.json()["message"] == answer.json()["detail"] != ""


def test_a_bug_shows_nothing_of_itself(watched: Watched) -> None:
    """500 has the one body, without a trace and without what was sent."""
    watched.error = {"secret": KeyError("secret")}
    with serving(watched) as client:
        answer = client.post("/rerank", json={**ASKED, "query": "my secret"})
        assert answer.status_code == 500
        assert answer.json()["error_type"] == "internal"
        assert "secret" not in answer.text
        assert client.post("/rerank", json=ASKED).status_code == 200
