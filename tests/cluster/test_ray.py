"""Ray: two simulated nodes that serve as one process does, also while shards are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from attnmass import AttentionRanker, Chunk
from attnmass.cluster.indexing import Reader
from attnmass.serving.app import make_app
from attnmass.serving.options import ServingOptions
from attnmass.serving.service import Service
from tests.cluster.ray_processes import ENDING, ROOT, STARTING, TEXTS, TIMEOUT, processes_of
from tests.cluster.test_at_rest import pushed
from tests.engine.relevance import QUERY
from tests.serving.conftest import until

pytest.importorskip("ray")

pytestmark = pytest.mark.slow


def test_a_process_that_is_left_is_found() -> None:
    """What has the folder in its environment is told from what has not, and gone when it ended."""
    environment = {**os.environ, "RAY_TMPDIR": "/tmp/rnone"}
    with subprocess.Popen(["sleep", "60"], env=environment) as left:
        until(lambda: processes_of("/tmp/rnone") == [left.pid])
        assert processes_of("/tmp/rnon") == []
        left.kill()
    assert processes_of("/tmp/rnone") == []


class Nodes:
    """Two nodes that serve, in a process of their own.

    Attributes:
        url: Where.
        n_nodes: How many nodes it says that there are.
    """

    def __init__(self, environment: dict[str, str], **args: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.two_nodes", json.dumps(args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        told = self._told("ready", STARTING)
        self.url, self.n_nodes = told["ready"], told["nodes"]

    def kill(self, name: str) -> list[int]:
        """End the process of a deployment; its id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"kill {name}\n")
        self._process.stdin.flush()
        return list(self._told("killed", TIMEOUT)["killed"])

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """One request."""
        return httpx.post(f"{self.url}{path}", json=body, timeout=TIMEOUT)

    @property
    def tokens(self) -> int:
        """How many were read."""
        return int(httpx.get(f"{self.url}/v1/stats", timeout=TIMEOUT).json()["tokens_encoded"])

    def kept(self, name: str) -> dict[str, float]:
        """What a metric says of each shard."""
        lines = httpx.get(f"{self.url}/metrics", timeout=TIMEOUT).text.splitlines()
        begin, end = f'{name}{{shard="', '"} '
        pairs = (line.removeprefix(begin).split(end) for line in lines if line.startswith(begin))
        return {shard: float(value) for shard, value in pairs}

    def close(self) -> None:
        """End it all."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(ENDING)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def _told(self, key: str, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        try:
            for line in self._process.stdout:
                if line.startswith("{") and key in (told := json.loads(line)):
                    return dict(told)
        finally:
            timer.cancel()
        raise AssertionError(f"the nodes ended before they said {key!r}")


OPTIONS: dict[str, Any] = {"batch_size": 1, "max_chunk_tokens": 200}  # each chunk read by itself


def bodies() -> dict[str, dict[str, Any]]:
    """One request for each route."""
    return {
        "/v1/rerank": {"query": QUERY, "documents": TEXTS},
        "/v1/trim": {"query": QUERY, "documents": TEXTS, "max_tokens": 120},
        "/v1/attribute": {"query": QUERY, "documents": TEXTS[:9], "answer": "Einstein did."},
        "/v1/explain": {"query": QUERY, "documents": TEXTS[:9], "format": "json"},
    }


def plain(answer: Any) -> Any:
    """An answer without its id and its times."""
    gone = {"id", "created", "timings"}
    if isinstance(answer, dict):
        return {key: plain(value) for key, value in answer.items() if key not in gone}
    return [plain(each) for each in answer] if isinstance(answer, list) else answer


def of_one_process(model: Path) -> dict[str, Any]:
    """What one process answers, after it has read each chunk by itself."""
    ranker = AttentionRanker.from_pretrained(model, layout="late", **OPTIONS)
    service = Service(lambda: ranker, ServingOptions(scores="relevance"))
    with TestClient(make_app(service)) as client:
        until(lambda: service.worker.is_ready, TIMEOUT)
        return {path: plain(client.post(path, json=body).json()) for path, body in bodies().items()}


def test_two_nodes_answer_as_one_process_while_shards_are_killed(
    model: Path, tmp_path: Path, ray_folder: dict[str, str]
) -> None:
    """All routes answer to the bit what one process does; a killed shard costs time, no answer.

    What was read ahead is in a folder of files, where the shards find it, also those that are new.
    """
    expected = of_one_process(model)
    kept = tmp_path / "kept"
    options = {"model": str(model), **OPTIONS}
    reader = Reader(
        store=str(kept), columns=("text", None), shards=3, counts=False, options=options
    )
    assert reader.read([Chunk(text) for text in TEXTS])[1].read == len(set(TEXTS))
    nodes = Nodes(
        ray_folder,
        model=str(model),
        shards=3,
        shard_timeout=200,
        request_timeout=220,
        scores="relevance",
        shared_store=pushed(kept, tmp_path / "far"),
        queue_size=64,
        batch_requests=1,  # queries that are read side by side are rounded together
        **OPTIONS,
    )
    try:
        assert nodes.n_nodes == 2
        for path, body in bodies().items():
            found = nodes.post(path, body)
            assert found.status_code == 200, found.text
            assert plain(found.json()) == expected[path]
        kept = nodes.kept("attnmass_memory_bytes")
        assert list(kept) == ["shard-0", "shard-1", "shard-2"]
        assert all(kept.values())
        # Each route has asked once, of what was read before all of them.
        n_asked = sum(len(set(body["documents"])) for body in bodies().values())
        assert sum(nodes.kept("attnmass_cache_hits_total").values()) == n_asked
        assert sum(nodes.kept("attnmass_cache_misses_total").values()) == 0
        before_all = nodes.tokens
        nodes.post("/v1/rerank", bodies()["/v1/rerank"])
        of_query = nodes.tokens - before_all
        asked = threading.Event()
        answers: list[tuple[int, Any]] = []

        def ask(_: int) -> None:
            while not asked.is_set():
                found = nodes.post("/v1/rerank", bodies()["/v1/rerank"])
                answers.append((found.status_code, plain(found.json())))

        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(ask, i) for i in range(4)]
            try:
                for name in ("shard-0", "shard-1", "shard-2"):
                    before = len(answers)
                    killed = nodes.kill(name)
                    assert len(killed) == 1
                    # Whoever was asked before is answered, and so is whoever asks now.
                    until(lambda: len(answers) >= before + 8, TIMEOUT)  # noqa: B023
                    time.sleep(1)
            finally:
                asked.set()
            for each in running:
                each.result()
        assert {status for status, _ in answers} == {200}
        assert all(answer == expected["/v1/rerank"] for _, answer in answers)
        trimmed = nodes.post("/v1/trim", bodies()["/v1/trim"])
        assert plain(trimmed.json()) == expected["/v1/trim"]
        # Queries were read, and no chunk.
        assert before_all <= 10 * of_query
        assert nodes.tokens - before_all <= of_query * (len(answers) + 2)
    finally:
        nodes.close()
