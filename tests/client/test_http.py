"""Requests to a server: keys, errors, time, and what is sent again."""

from __future__ import annotations

import logging
import os
import pickle
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from attnmass import (
    AttnMassError,
    CaptureError,
    RemoteRanker,
    ServerError,
    UnsupportedModelError,
)
from attnmass.client.http import Http, _said, encoded
from attnmass.options.remote import RemoteOptions
from attnmass.options.urls import check_url, is_url
from tests.client.scripted import Answer, error, scripted

KEY = "open-sesame"
BUSY = error(429, "queue_full", "64 requests are already waiting", Retry_After="0.2")


def http(url: str, **options: Any) -> Http:
    """A client."""
    return Http(url, RemoteOptions(**options))


def test_a_busy_server_is_asked_again_when_it_says() -> None:
    """429 and 503 are tried again after the seconds that they name, and then answered."""
    with scripted(
        BUSY, error(503, "not_ready", Retry_After="0.2"), Answer(body={"a": 1})
    ) as server:
        assert http(server.url).post("/x", {"q": 1}) == b'{"a": 1}'
    first, second, third = server.times
    assert second - first >= 0.2
    assert third - second >= 0.2
    assert [request[3] for request in server.requests] == [b'{"q": 1}'] * 3


def test_retries_end() -> None:
    """After as many retries as were asked for, the server's own words are raised."""
    with scripted(BUSY) as server, pytest.raises(ServerError, match="64 requests are") as caught:
        http(server.url, retries=2).post("/x", {})
    assert len(server.requests) == 3
    assert caught.value.status == 429


def test_nobody_waits_beyond_the_time() -> None:
    """A server that says to come back later than the call may take is not waited for."""
    busy = error(503, "draining", "going down", Retry_After="30")
    started = time.monotonic()
    with scripted(busy) as server, pytest.raises(ServerError, match="going down"):
        http(server.url, timeout=2).post("/x", {})
    assert time.monotonic() - started < 2
    assert len(server.requests) == 1


def test_a_dropped_connection_is_made_again() -> None:
    """Where nothing came back the request is sent again: it changes nothing to ask twice."""
    with scripted(Answer(None), Answer(body={})) as server:
        assert http(server.url).get("/x") == b"{}"
    assert len(server.requests) == 2


def test_no_server() -> None:
    """Where nobody listens that is said, with the address and what should run there."""
    with scripted(Answer()) as server:
        url = server.url
    with pytest.raises(ServerError, match="is attnmass serve running there") as caught:
        http(url, retries=0).get("/x")
    assert url in str(caught.value)
    assert isinstance(caught.value, AttnMassError)
    assert caught.value.status is None


@pytest.mark.parametrize("retries", [0, 5])
def test_a_slow_server(retries: int) -> None:
    """A call takes no longer than it may, whatever its retries."""
    started = time.monotonic()
    with scripted(Answer(seconds=1.0)) as server:
        with pytest.raises(ServerError, match=r"did not answer within 0\.3 seconds"):
            http(server.url, timeout=0.3, retries=retries).get("/x")
        assert time.monotonic() - started < 0.9


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(400, "bad_request", "query is empty or blank"), ValueError),
        (error(413, "payload_too_large", "too large"), ValueError),
        (error(424, "capture_failed", "NaN in layer 3"), CaptureError),
        (error(424, "unsupported_model", "layout 'late' cannot"), UnsupportedModelError),
        (error(424, "out_of_memory", "memory ran out"), MemoryError),
        (error(424, "model_failed", "boom"), RuntimeError),
        (error(500, "internal", "a bug of its own"), ServerError),
        (error(403, "forbidden", "not you"), ServerError),
    ],
)
def test_errors_are_those_of_a_call_in_the_process(answer: Answer, kind: type[Exception]) -> None:
    """What the server says is raised as the same class, in its words, and not tried again."""
    with scripted(answer) as server, pytest.raises(kind, match=answer.body["message"]) as caught:
        http(server.url).post("/x", {})
    assert type(caught.value) is kind
    assert len(server.requests) == 1


def test_a_path_behind_the_host() -> None:
    """A URL that ends where another client's does is told what to leave out."""
    answer = error(404, "not_found", "POST /v1/x: Not Found")
    with scripted(answer) as server, pytest.raises(ServerError, match="leave out what is behind"):
        http(f"{server.url}/v1").post("/x", {})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (error(401, "unauthorized"), "pass api_key, or set ATTNMASS_API_KEY"),
        (error(404, "not_found", "POST /x: Not Found"), "may be older than version"),
        (Answer(404, b"<html>nginx</html>"), "not as attnmass serve does"),
        (Answer(502, {"detail": []}), "answers 502, and not as attnmass serve does"),
        (Answer(308, b"", {"Location": "http://elsewhere/"}), "redirects"),
    ],
)
def test_what_is_no_such_server(answer: Answer, message: str) -> None:
    """Whatever else answers is told from a server, with what to do; redirections lead nowhere."""
    with scripted(answer) as server, pytest.raises(ServerError, match=message) as caught:
        http(server.url).post("/x", {})
    assert caught.value.status == answer.status
    assert len(server.requests) == 1
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.status) == (str(caught.value), answer.status)


def test_the_key_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from the option, else from the environment, and without one nothing is sent."""
    with scripted(Answer()) as server:
        http(server.url, api_key=KEY).get("/x")
        monkeypatch.setenv("ATTNMASS_API_KEY", "another")
        http(server.url, api_key=KEY).get("/x")
        http(server.url).get("/x")
        monkeypatch.setenv("ATTNMASS_API_KEY", "")
        http(server.url).get("/x")
    sent = [request[2].get("authorization") for request in server.requests]
    assert sent == [f"Bearer {KEY}", f"Bearer {KEY}", "Bearer another", None]


@pytest.mark.parametrize("key", ["two words", "schlüssel", "line\nbreak"])
def test_what_is_no_key(key: str) -> None:
    """It is refused before it is sent, and not repeated."""
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        RemoteRanker("http://127.0.0.1:8080", api_key=key)
    assert key not in str(caught.value)


def test_the_key_is_nowhere_to_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    """Neither what a ranker says of itself nor its pickle, errors and logs have it."""
    caplog.set_level(logging.DEBUG)
    with scripted(error(401, "unauthorized")) as server:
        ranker = RemoteRanker(server.url, api_key=KEY)
        with pytest.raises(ServerError) as caught:
            ranker.rank("q", ["a"])
    seen = [repr(ranker), str(vars(ranker)), repr(caught.value), caplog.text]
    assert KEY not in "".join(seen)
    assert KEY.encode() not in pickle.dumps(ranker)


def test_urls() -> None:
    """A path that the routes are under stays; a slash at its end goes."""
    assert check_url("HTTPS://host/attn/") == "HTTPS://host/attn"
    assert is_url("http://x")
    assert not any(map(is_url, ["smollm2-135m", "./http://x", "httpx://y", None]))
    with scripted(Answer()) as server:
        http(f"{server.url}/attn/").get("/v1/ranker")
    assert server.requests[0][1] == "/attn/v1/ranker"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"retries": 1.5}, "retries"),
        ({"traces": 1}, "traces"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    """Options are checked before anything is asked."""
    with pytest.raises((ValueError, TypeError), match=message):
        RemoteRanker("http://127.0.0.1:8080", **options)


def test_when_to_come_back() -> None:
    """`Retry-After` is seconds or a date; what is neither is none."""
    assert _said("1.5") == 1.5
    assert _said(None) == _said("soon") == _said("nan") == 0.0
    when = datetime.now(timezone.utc) + timedelta(seconds=60)
    assert 50 < _said(format_datetime(when, usegmt=True)) <= 60


def test_any_text_can_be_sent() -> None:
    """Texts go as UTF-8; what UTF-8 has not is escaped."""
    assert encoded({"a": "ü"}) == '{"a": "ü"}'.encode()
    assert encoded({"a": "\ud800ü"}) == b'{"a": "\\ud800\\u00fc"}'


def test_a_client_of_the_callers_own() -> None:
    """Its headers and its transport are used, and it is left open."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={})

    with httpx.Client(transport=httpx.MockTransport(answer), headers={"X-Tenant": "a"}) as mine:
        found = Http("https://host/p", RemoteOptions(), mine)
        assert found.get("/x") == b"{}"
        found.close()
        assert not mine.is_closed
    assert str(asked[0].url) == "https://host/p/x"
    assert asked[0].headers["x-tenant"] == "a"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_connects_anew() -> None:
    """Parent and child do not write into one connection."""
    with scripted(Answer(body={"a": 1})) as server:
        client = http(server.url)
        client.get("/x")
        pid = os.fork()
        if pid == 0:
            os._exit(0 if client.get("/x") == b'{"a": 1}' else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert client.get("/x") == b'{"a": 1}'
        client.close()


def test_without_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where httpx is missing it is said what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "attnmass\[client\]"'):
        RemoteRanker("http://127.0.0.1:8080")
