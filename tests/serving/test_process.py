"""The server as a process: over a socket, under load, and at its end."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from attnmass import AttentionRanker
from attnmass.serving.app import make_app
from attnmass.serving.options import ServingOptions
from attnmass.serving.server import configured
from attnmass.serving.service import Service
from tests.serving.conftest import QUERY, TEXTS
from tests.serving.processes import Process, process

# httpx's own five seconds pass where other work goes on.
get, post = partial(httpx.get, timeout=30), partial(httpx.post, timeout=30)

ASKED = {"query": QUERY, "documents": TEXTS}
HELD = "tests.serving.held"


def test_it_serves_and_ends(tiny_folder: Path) -> None:
    """From the command to an answer over a socket, in JSON lines without a text, to exit code 0."""
    with process("--model", tiny_folder, "--heads", "1-0,1-3") as server:
        assert get(f"{server.url}/health").json() == {"status": "ok"}
        headers = {"X-Request-ID": "mine-1"}
        answer = post(f"{server.url}/v2/rerank", json=ASKED, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["X-Request-ID"] == "mine-1"
        assert len(answer.json()["results"]) == 3
        found = get(f"{server.url}/metrics").text
        assert 'attnmass_requests_total{route="/v2/rerank",status="200"} 1.0' in found
        assert server.end() == 0
    told = [record for record in server.records if record["message"] == "request"]
    (asked,) = [record for record in told if record["route"] == "/v2/rerank"]
    assert (asked["request_id"], asked["status"], asked["documents"]) == ("mine-1", 200, 3)
    assert "Einstein" not in "\n".join(server.lines)


def test_it_runs_on_what_was_tried(ranker: AttentionRanker) -> None:
    """Event loop and parser are the same whatever else is installed, such as what Ray brings."""
    options = ServingOptions()
    config = configured(make_app(Service(lambda: ranker, options)), options)
    config.load()
    assert issubclass(config.http_protocol_class, H11Protocol)  # type: ignore[arg-type]
    assert config.loop == "asyncio"
    assert config.ws_protocol_class is None


MALFORMED = {
    "no HTTP": b"GARBAGE\r\n\r\n",
    "length": b"POST /rerank HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n{}",
    "path": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "chunk": b"POST /rerank HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}",
}


def test_what_is_no_http_is_answered_in_the_one_body() -> None:
    """What no application is asked is told as every other error, and the server goes on."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    with process(module=HELD) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        for name, sent in MALFORMED.items():
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(sent)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                told = json.loads(answer.read())
            assert answer.status == 400, name
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.headers["Connection"] == "close"
            assert set(told) == {"message", "detail", "error", "error_type"}
            assert "not valid HTTP" in told["detail"]
        # A socket of the web is none of its routes: whoever asks for one gets what the path has.
        assert get(f"{server.url}/ready", headers=upgrade).json()["status"] == "ready"
        assert server.end() == 0
    assert not [record for record in server.records if record["level"] == "error"]


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """An answer over a connection that is kept comes as soon as it is there, not 40 ms later."""
    with process(module=HELD) as server, httpx.Client(base_url=server.url) as client:
        took = []
        for _ in range(9):
            started = time.perf_counter()
            assert client.post("/rerank", json=ASKED | {"query": ""}).status_code == 400
            took.append(time.perf_counter() - started)
        assert sorted(took)[4] < 0.03


@pytest.mark.slow
def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    """The process ends with the code of its kind, and says why in a line."""
    server = Process("--model", tmp_path)
    assert server.process.wait(120) == 4
    server.close()
    assert server.lines[-2].startswith("error: "), server.lines


async def burst(url: str, count: int, **body: Any) -> list[httpx.Response | Exception]:
    """Many requests at once; gives an answer or an error for each."""
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        return await asyncio.gather(
            *(client.post("/rerank", json=ASKED | body) for _ in range(count)),
            return_exceptions=True,
        )


def test_a_burst_over_a_small_queue() -> None:
    """Of 200 requests at once each gets an answer, or is told cleanly to come back."""
    args = ("--queue-size", "16", "--batch-requests", "4")
    with process(*args, module=HELD, HELD_SECONDS="0.05") as server:
        answers = asyncio.run(burst(server.url, 200))
        assert not [each for each in answers if isinstance(each, Exception)]
        counts = Counter(each.status_code for each in answers)  # type: ignore[union-attr]
        assert set(counts) <= {200, 429, 503}
        assert counts[200] >= 16
        assert counts[429] > 0
        for each in answers:
            assert each.json()["id" if each.status_code == 200 else "message"]  # type: ignore
            assert each.status_code == 200 or each.headers["Retry-After"]  # type: ignore
        assert get(f"{server.url}/ready").status_code == 200


def test_the_signal_to_end_under_load() -> None:
    """What was taken is answered, what comes later is not taken, and the process ends with 0."""
    args = ("--queue-size", "64", "--batch-requests", "1")
    with process(*args, module=HELD, HELD_SECONDS="0.1") as server:

        async def run() -> list[Any]:
            asked = asyncio.ensure_future(burst(server.url, 20))
            while "attnmass_queue_depth 0.0" in get(f"{server.url}/metrics").text:
                await asyncio.sleep(0.02)
            server.process.send_signal(signal.SIGTERM)
            return await asked

        answers = asyncio.run(run())
        assert server.process.wait(30) == 0
        refused = [each for each in answers if isinstance(each, Exception)]
        given = Counter(each.status_code for each in answers if each not in refused)
        assert set(given) <= {200, 503}
        assert given[200] >= 10
        # Those whose connection was not yet taken when the door was closed.
        assert all(isinstance(each, httpx.TransportError) for each in refused)


@pytest.mark.slow
def test_a_time_to_end_that_is_over() -> None:
    """What cannot be answered in that time is told so, and the process ends all the same."""
    args = ("--drain-timeout", "1", "--batch-requests", "1")
    with process(*args, module=HELD, HELD_SECONDS="1") as server:

        async def run() -> list[Any]:
            asked = asyncio.ensure_future(burst(server.url, 8))
            while "attnmass_queue_depth 0.0" in get(f"{server.url}/metrics").text:
                await asyncio.sleep(0.02)
            server.process.send_signal(signal.SIGTERM)
            return await asked

        started = time.monotonic()
        answers = asyncio.run(run())
        assert server.process.wait(30) == 0
        assert time.monotonic() - started < 7
        given = Counter(getattr(each, "status_code", 0) for each in answers)
        assert given[503] >= 4


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_call_that_does_not_end(sent: signal.Signals, code: int) -> None:
    """A model that computes on beyond the time to end neither delays the end nor crashes it."""
    with process("--request-timeout", "1", module=HELD) as server:
        answer = post(f"{server.url}/rerank", json=ASKED | {"query": "compute"})
        assert answer.status_code == 503
        server.process.send_signal(sent)
        assert server.process.wait(30) == code


@pytest.mark.slow
def test_a_dead_worker_ends_the_process() -> None:
    """Whoever asks is told, nothing more is taken, and the process ends with an error."""
    with process(module=HELD) as server:
        answer = post(f"{server.url}/rerank", json=ASKED | {"query": "die"})
        assert answer.status_code == 503
        assert server.process.wait(30) == 5
    assert server.lines[-2].startswith("error: RuntimeError: the model's thread has ended")


@pytest.mark.slow
def test_large_bodies_over_a_socket() -> None:
    """64 MB, announced or not, are refused with an answer that can be read, and are not kept."""
    body = b'{"query": "a", "documents": ["' + b"x" * (64 << 20) + b'"]}'

    def parts() -> Any:
        for start in range(0, len(body), 1 << 20):
            yield body[start : start + (1 << 20)]

    with process(module=HELD) as server:
        before = server.memory
        for content in (body, parts()):
            answer = httpx.post(f"{server.url}/rerank", content=content, timeout=60)
            assert answer.status_code == 413
            assert answer.json()["error_type"] == "payload_too_large"
        assert server.memory - before < 64 << 20
        assert post(f"{server.url}/rerank", json=ASKED).status_code == 200


@pytest.mark.slow
def test_clients_that_hang_up_and_clients_that_dawdle() -> None:
    """Neither a client that leaves nor one that sends a byte now and then keeps others waiting."""
    with process("--body-timeout", "1", module=HELD, HELD_SECONDS="0.2") as server:
        address = httpx.URL(server.url)
        head = b"POST /rerank HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
        dawdling = [socket.create_connection((address.host, address.port or 0)) for _ in range(20)]
        for connection in dawdling:
            connection.sendall(head + b"{")
        leaving = [socket.create_connection((address.host, address.port or 0)) for _ in range(20)]
        body = b'{"query": "leaves", "documents": ["a"]}'
        for connection in leaving:
            connection.sendall(head.replace(b"1000", str(len(body)).encode()) + body)
            connection.close()
        answer = httpx.post(f"{server.url}/rerank", json=ASKED, timeout=10)
        assert answer.status_code == 200
        for connection in dawdling:
            connection.settimeout(10)
            assert connection.recv(1000).startswith(b"HTTP/1.1 408")
            connection.close()
        told = get(f"{server.url}/metrics").text
        assert 'attnmass_requests_total{route="/rerank",status="499"}' in told


@pytest.mark.slow
def test_a_server_that_was_killed_finds_what_it_read(tmp_path: Path) -> None:
    """After kill -9 under load another one starts on the same store, and reads nothing again."""
    with process(module=HELD, HELD_STORE=str(tmp_path / "kept")) as server:
        scores = post(f"{server.url}/rerank", json=ASKED).json()["results"]

        async def run() -> list[Any]:
            asked = asyncio.ensure_future(burst(server.url, 50))
            await asyncio.sleep(0.2)
            server.process.kill()
            return await asked

        asyncio.run(run())
        assert server.process.wait(30) == -signal.SIGKILL
    with process(module=HELD, HELD_STORE=str(tmp_path / "kept")) as server:
        assert post(f"{server.url}/rerank", json=ASKED).json()["results"] == scores
        assert "attnmass_cache_misses_total 0.0" in get(f"{server.url}/metrics").text


def test_new_shapes_cost_no_memory(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16, too, for which code is made anew for each number of tokens."""
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        monkeypatch.delenv(name, raising=False)
    args = ["--heads", "1-0,1-3,2-1", "--layout", "late", "--dtype", "bfloat16"]
    sizes = []
    with process("--model", tiny_folder, *args, OMP_NUM_THREADS="1") as server:
        for n in range(61):
            if n in {20, 60}:  # what all need is there by then
                sizes.append(server.memory)
            texts = [f"{n} {i} {'train ' * (3 + (7 * n + 3 * i) % 150)}" for i in range(4)]
            body = {"query": f"Where {'is it ' * (n % 23)}?", "documents": texts}
            assert httpx.post(f"{server.url}/v2/rerank", json=body, timeout=60).status_code == 200
    assert sizes[1] - sizes[0] < 48 << 20  # without bounds 160 MB, where the CPU has bfloat16


@pytest.mark.slow
def test_memory_is_flat_under_load() -> None:
    """Minutes of requests over ever new chunks leave the process as large as it was."""
    with process("--queue-size", "32", module=HELD) as server:

        async def load(seconds: float) -> int:
            end = time.monotonic() + seconds
            done = 0
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                while time.monotonic() < end:
                    texts = [f"Text {done} {n}, which nobody read before." for n in range(20)]
                    bodies = [{"query": f"{done} {n}?", "documents": texts} for n in range(8)]
                    await asyncio.gather(*(client.post("/rerank", json=body) for body in bodies))
                    done += 8
            return done

        asyncio.run(load(60))
        before = server.memory
        done = asyncio.run(load(120))
        assert done > 100
        assert server.memory - before < 64 << 20
