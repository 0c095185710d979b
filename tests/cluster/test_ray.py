"""Ray: two simulated nodes that serve as one process does, also while shards are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from attnmass import AttentionRanker, Chunk
from attnmass.cluster.errors import ShardError, ShardUnavailableError
from attnmass.cluster.indexing import Reader
from attnmass.serving.app import make_app
from attnmass.serving.errors import of_model
from attnmass.serving.options import ServingOptions
from attnmass.serving.service import Service
from tests.cluster.test_at_rest import pushed
from tests.engine.test_relevance import PARAGRAPHS, QUERY, profile
from tests.serving.conftest import until
from tests.tiny import tiny_model, tiny_tokenizer

pytest.importorskip("ray")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TEXTS = PARAGRAPHS[:30]
# Seconds, many more than it takes, for machines that others use, too.
TIMEOUT = 240.0  # of one request, a shard that is rebuilt included
STARTING = 400.0  # until the nodes serve
ENDING = 120.0  # until all processes have ended
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    "HF_HUB_OFFLINE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that tells relevance, as a folder."""
    folder = tmp_path_factory.mktemp("tiny-late")
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    (folder / "attnmass.late.json").write_text(profile().to_json())
    return folder


@pytest.fixture
def ray_folder() -> Iterator[dict[str, str]]:
    """An environment in which Ray's sockets have short paths; no process of it is left behind."""
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
    (Path(folder) / "ray").mkdir()
    yield {**ENVIRONMENT, "RAY_TMPDIR": folder}
    try:
        until(lambda: not processes_of(folder), ENDING)
    finally:
        for pid in processes_of(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def processes_of(folder: str) -> list[int]:
    """Those that run and have the folder in their environment, as all that Ray starts."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"RAY_TMPDIR={folder}".encode() in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found


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


# Ray's own modules use what pydantic deprecates.
_IMPORTS_RAY = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Dying:
    """A handle of a deployment whose process dies at the first calls.

    Attributes:
        calls: The arguments of each call.
    """

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.calls: list[tuple[Any, ...]] = []
        self.ask = self

    def remote(self, *args: Any) -> Dying:
        """As a handle's."""
        self.calls.append(args)
        return self

    def result(self, timeout_s: float) -> str:
        """As a response's."""
        assert timeout_s > 0
        if self._errors:
            raise self._errors.pop(0)
        return "found"


@_IMPORTS_RAY
def test_what_died_is_asked_again() -> None:
    """A process that dies is asked again, as it was; what it raised itself is raised here."""
    from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

    from attnmass.serving.ray import Asking

    handle = Dying(ActorDiedError(), ActorUnavailableError("gone", None))
    assert Asking("shard-0", handle, 30)("missing", 1) == "found"
    assert handle.calls == [("missing", 1)] * 3
    failed = RayTaskError("ask", "a long trace", ShardError("another model"))
    with pytest.raises(ShardError, match=r"^another model$"):
        Asking("shard-0", Dying(failed), 30)("missing")


@_IMPORTS_RAY
@pytest.mark.parametrize("n_errors", [1, 99])
def test_what_stays_dead_is_told_in_time(n_errors: int) -> None:
    """A shard that does not come back is an error in time, at which clients try again."""
    from ray.exceptions import ActorDiedError

    from attnmass.serving.ray import Asking

    errors = [TimeoutError()] if n_errors == 1 else [ActorDiedError() for _ in range(n_errors)]
    with pytest.raises(ShardUnavailableError, match=r"shard-0 .* within 0\.3 seconds"):
        Asking("shard-0", Dying(*errors), 0.3)("missing")
    told = of_model(ShardUnavailableError("shard-0 did not answer"))
    assert told is not None
    assert (told.status, told.kind) == (503, "shard_unavailable")
    assert told.headers["Retry-After"] == "5"


def test_the_command_line_reads_on_ray(
    model: Path, tmp_path: Path, ray_folder: dict[str, str]
) -> None:
    """`attnmass index --ray` fills the folders of shards, and what all share.

    A second run, into other folders, finds there what the first one read.
    """
    lines = [{"text": text} for text in TEXTS] + [{"text": " "}]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, lines)))

    def run(store: str) -> dict[str, Any]:
        done = subprocess.run(
            [
                sys.executable, "-m", "attnmass", "index", "texts.jsonl", "--ray", "--jobs", "2",
                "--shards", "2", "--store", store, "--model", str(model), "--format", "json",
                "--shared-store", (tmp_path / "far").as_uri(),
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=ray_folder,
            timeout=STARTING,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (record,) = json.loads(done.stdout)
        return dict(record)

    first, again = run("kept"), run("other")
    n_texts = len(set(TEXTS))
    assert (first["read"], first["unreadable"], first["chunks"]) == (n_texts, 1, len(lines))
    assert (again["read"], again["skipped"]) == (0, len(TEXTS))
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"shard-0", "shard-1"}


ROWS = """
import json, sys
import ray
from attnmass.cluster.indexing import index_dataset
model, store = sys.argv[1:]
ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="error")
rows = [{"text": f"Text {i} is about relativity.", "n": i} for i in range(40)]
rows[7]["text"], rows[21]["text"] = None, "  "
def read():
    found = index_dataset(
        ray.data.from_items(rows), store=store, shards=2, actors=2, batch_size=8, model=model
    )
    return sorted(found.take_all(), key=lambda row: row["n"])
first = read()
counts = index_dataset(
    ray.data.from_items(rows), store=store, shards=2, actors=1, counts=True, model=model
).take_all()
print("FOUND", json.dumps([first, counts]))
"""


def test_a_dataset_is_read_on_a_pool_and_not_again(
    model: Path, tmp_path: Path, ray_folder: dict[str, str]
) -> None:
    """Every row comes back, one bad row with an error; a second run reads nothing."""
    done = subprocess.run(
        [sys.executable, "-c", ROWS, str(model), str(tmp_path / "store")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=ray_folder,
        timeout=STARTING,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    rows, counts = json.loads(line.removeprefix("FOUND "))
    assert [row["n"] for row in rows] == list(range(40))
    assert {row["n"]: row["error"] for row in rows if row["error"]} == {7: "not text"}
    totals = {name: sum(each[name] for each in counts) for name in ("read", "skipped", "failed")}
    assert totals == {"read": 0, "skipped": 38, "failed": 1}
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["shard-0", "shard-1"]
