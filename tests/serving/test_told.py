"""What is counted and logged of requests, and that no text is."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from attnmass import AttentionRanker
from attnmass.engine import telemetry
from attnmass.serving.app import make_app
from attnmass.serving.logs import JsonLines, config
from attnmass.serving.options import ServingOptions
from attnmass.serving.service import Service
from tests.conftest import HEADS
from tests.engine.test_telemetry import Tracer
from tests.serving.conftest import QUERY, TEXTS, Watched, serving, until
from tests.tiny import tiny_model, tiny_tokenizer

ASKED = {"query": QUERY, "documents": TEXTS}


def numbers(client: TestClient) -> dict[str, float]:
    """What Prometheus reads."""
    lines = client.get("/metrics").text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_metrics(client: TestClient, watched: Watched) -> None:
    """Requests by route and status, the queue, batches, seconds, the store: all are counted."""
    before = watched.stats
    client.post("/rerank", json=ASKED)
    client.post("/rerank", json=ASKED)
    client.post("/v1/retrieval/any/model/reranking", json={"query": 1})
    client.get("/nothing/in/particular")
    found = numbers(client)
    assert found['attnmass_requests_total{route="/rerank",status="200"}'] == 2
    nvidia = 'route="/v1/retrieval/{rest:path}/reranking",status="400"'
    assert found[f"attnmass_requests_total{{{nvidia}}}"] == 1
    assert found['attnmass_requests_total{route="other",status="404"}'] == 1
    assert found['attnmass_request_seconds_count{route="/rerank"}'] == 2
    assert found["attnmass_request_documents_sum"] == 6
    assert found["attnmass_batch_requests_count"] == 2
    assert found["attnmass_batch_requests_sum"] == 2
    assert found["attnmass_model_seconds_count"] == 2
    assert found["attnmass_queue_depth"] == 0
    assert found["attnmass_ready"] == 1
    stats = watched.stats
    assert found["attnmass_cache_hits_total"] == stats.hits > before.hits
    assert found["attnmass_cache_misses_total"] == stats.misses
    assert found["attnmass_memory_bytes"] == stats.memory_bytes > 0
    assert found["attnmass_tokens_read_total"] == stats.tokens_encoded


def test_metrics_of_a_shared_store(tmp_path: Path) -> None:
    """What it had, had not, failed at, gave and took is counted; a second server reads from it."""
    redises = pytest.importorskip("tests.store.redises")
    if redises.BINARY is None:
        pytest.skip("needs redis-server")

    def asked(url: str) -> dict[str, float]:
        made = AttentionRanker(
            tiny_model(), tiny_tokenizer(), heads=HEADS, shared_store=url, memory_bytes=0
        )
        with serving(Watched(made)) as client:
            assert client.post("/rerank", json=ASKED).status_code == 200
            found = numbers(client)
        shared = made._cache.lasting.shared
        assert shared is not None
        shared.close()
        begin = "attnmass_shared_"
        return {name.removeprefix(begin): found[name] for name in found if begin in name}

    with redises.redises(tmp_path) as server:
        first, second = asked(server.url), asked(server.url)
        server.stop()
        third = asked(server.url)
    assert (first["hits_total"], first["misses_total"], first["failures_total"]) == (0, 3, 0)
    assert first["written_bytes_total"] > first["read_bytes_total"] == 0
    assert (second["hits_total"], second["misses_total"], second["failures_total"]) == (3, 0, 0)
    assert second["read_bytes_total"] == first["written_bytes_total"]
    assert second["written_bytes_total"] == 0
    assert (third["hits_total"], third["misses_total"]) == (0, 3)
    assert third["failures_total"] >= 1


def test_metrics_of_shards(watched: Watched) -> None:
    """What shards keep is told of each by its name, and nothing of the ranker's own empty store."""
    shards = {f"shard-{i}": replace(watched.stats, hits=5 + i, folder_bytes=70 + i) for i in (0, 1)}
    service = Service(lambda: watched, ServingOptions())  # type: ignore[arg-type, return-value]
    with TestClient(make_app(service, lambda: shards)) as client:
        until(lambda: service.worker.is_ready)
        found = numbers(client)
        assert found['attnmass_cache_hits_total{shard="shard-0"}'] == 5
        assert found['attnmass_cache_hits_total{shard="shard-1"}'] == 6
        assert found['attnmass_store_bytes{shard="shard-1"}'] == 71
        assert not {"attnmass_cache_hits_total", "attnmass_store_bytes"} & set(found)
        assert found["attnmass_tokens_read_total"] == watched.stats.tokens_encoded
        del shards["shard-0"]  # it is being started anew
        found = numbers(client)
        assert 'attnmass_cache_hits_total{shard="shard-0"}' not in found
        assert found['attnmass_cache_hits_total{shard="shard-1"}'] == 6


def test_metrics_before_the_model_is_there(watched: Watched) -> None:
    """They can be asked for at any time."""
    with serving(watched) as client:
        client.service.worker._ranker = None  # type: ignore[attr-defined]
        found = numbers(client)
        assert found["attnmass_ready"] == 0
        assert "attnmass_cache_hits_total" not in found


def test_servers_count_apart(watched: Watched) -> None:
    """Two servers in one process share no numbers."""
    with serving(watched) as one, serving(watched) as other:
        one.post("/rerank", json=ASKED)
        assert numbers(one)["attnmass_batch_requests_count"] == 1
        assert numbers(other)["attnmass_batch_requests_count"] == 0


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What would be written."""
    return [json.loads(JsonLines().format(record)) for record in caplog.records]


def test_logs(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """Each request is a line with its id, which the answer has, too."""
    with caplog.at_level(logging.INFO, logger="attnmass"):
        answer = client.post("/rerank", json=ASKED)
        client.post("/rerank", content=b"{", headers={"X-Request-ID": "x" * 65})
        client.get("/health")
    good, bad = lines(caplog)
    assert good["request_id"] == answer.headers["X-Request-ID"]
    assert answer.json()["id"] == f"rerank-{good['request_id']}"
    assert (good["method"], good["route"], good["status"]) == ("POST", "/rerank", 200)
    assert (good["documents"], good["level"]) == (3, "info")
    assert 0 < good["seconds"] < 10
    assert (bad["status"], bad["error_type"]) == (400, "bad_request")
    assert bad["request_id"] != "x" * 65


def test_logs_have_no_texts(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong with a text, no line has anything of it."""
    watched.error = {"bug-secret": KeyError("secret"), "model-secret": RuntimeError("secret")}
    with serving(watched) as client, caplog.at_level(logging.DEBUG, logger="attnmass"):
        for query in ("bug-secret", "model-secret", "secret", " "):
            client.post("/rerank", json={"query": query, "documents": ["a secret"]})
            client.post("/v1/trim", json={"query": query, "documents": ["secret"], "secre": 1})
        client.get("/secret")
    told = lines(caplog)
    assert len(told) >= 10
    assert "secret" not in json.dumps(told)
    (bug,) = [line for line in told if line["level"] == "error"]
    assert bug["error_type"] == "KeyError"
    assert any("worker.py" in frame for frame in bug["where"])


@pytest.mark.parametrize("quiet", [True, False])
def test_the_logging_of_a_process(quiet: bool) -> None:
    """Ours and uvicorn's lines are JSON, and quiet leaves warnings."""
    told = config(quiet=quiet)
    assert told["formatters"]["lines"]["()"] is JsonLines
    assert told["loggers"]["attnmass"]["level"] == ("WARNING" if quiet else "INFO")
    assert told["loggers"]["uvicorn.access"]["handlers"] == []


def test_a_request_is_a_span(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's span is a child of the request's, which tells its route and status."""
    tracer = Tracer()
    monkeypatch.setattr(telemetry, "_tracer", lambda: tracer)
    client.post("/rerank", json=ASKED)
    request, rank = tracer.spans
    assert request.told["attnmass.route"] == "/rerank"
    assert request.told["attnmass.status"] == 200
    assert rank.name == "attnmass.rank"
    assert rank.parent.span_id == request.get_span_context().span_id
    assert "Ulm" not in repr((request.told, rank.told))
