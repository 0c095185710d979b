"""What a request over HTTP costs compared with a call in the process, and how many are answered.

python -m benchmarks.serving DATA_FOLDER [--seconds N]

Chunks are warm: the server has read them before. Clients send one request after the other, each
with a different query. In `alike`, all of them ask about the same chunks in the same order, so that
those that wait share a call; in `apart`, each client has its own order, so that none do. A
cross-encoder is asked the same (`benchmarks.cross_served`). Server and clients share the machine's
cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from attnmass import AttentionRanker
from benchmarks.cross_served import crossed
from benchmarks.data import read_set
from tests.serving.processes import Process, process

RESULTS = Path(__file__).parent / "results" / "serving.json"
PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "serve.md"
MODEL = "smollm2-135m"
CLIENTS = (1, 8, 64)
CHUNKS = (20, 200)
MOST_CROSSED = 1280  # pairs at once: a client waits for all of them
PATIENCE = 300.0  # seconds that a client waits
BEGIN, END = "<!-- speed -->\n", "<!-- /speed -->\n"


def main() -> None:
    """Measure, store, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--repeats", type=int, default=60, help="of single requests")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    queries, texts = material(arguments.data)
    load = os.getloadavg()
    with (
        tempfile.TemporaryDirectory() as folder,
        process("--model", MODEL, "--queue-size", "64", "--store", folder) as server,
    ):
        for start in range(0, len(texts), 20):
            body = {"documents": texts[start : start + 20]}
            httpx.post(f"{server.url}/v1/warm", json=body, timeout=120).raise_for_status()
        rows = [
            {"chunks": n_chunks, "clients": clients, "kind": kind}
            | asyncio.run(
                measured(
                    server.url,
                    queries,
                    texts[:n_chunks],
                    clients,
                    apart=kind == "apart",
                    seconds=arguments.seconds,
                )
            )
            for n_chunks in CHUNKS
            for clients in CLIENTS
            for kind in (("alike", "apart") if clients > 1 else ("alike",))
        ]
        ranker = AttentionRanker.from_pretrained(MODEL, layout="late", store=folder)
        single = [
            {"chunks": n_chunks}
            | in_turns(server, ranker, queries, texts[:n_chunks], arguments.repeats)
            for n_chunks in CHUNKS
        ]
    with crossed() as url:
        by_pairs = [
            {"chunks": n_chunks, "clients": clients}
            | asyncio.run(
                measured(
                    url,
                    queries,
                    texts[:n_chunks],
                    clients,
                    apart=False,
                    seconds=arguments.seconds,
                )
            )
            for n_chunks in CHUNKS
            for clients in CLIENTS
            if n_chunks * clients <= MOST_CROSSED
        ]
    told = {
        "model": MODEL,
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "load_before": [round(each, 2) for each in load],
        "seconds": arguments.seconds,
        "in_turns": single,
        "served": rows,
        "cross_encoder": by_pairs,
    }
    RESULTS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    write(told)


def material(folder: Path) -> tuple[list[str], list[str]]:
    """Queries, and as many different texts as are asked about at most."""
    rows = read_set(folder, "nq")
    texts = dict.fromkeys(text for row in rows for text in row.texts)
    return [row.query for row in rows], list(texts)[: max(CHUNKS)]


async def measured(
    url: str, queries: Sequence[str], texts: list[str], clients: int, *, apart: bool, seconds: float
) -> dict[str, Any]:
    """Requests per second, and how long each took, with that many clients at once."""
    took: list[float] = []
    refused = 0
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
        end = time.perf_counter() + seconds

        async def ask(number: int) -> None:
            nonlocal refused
            mine = texts[number % len(texts) :] + texts[: number % len(texts)] if apart else texts
            count = number
            while time.perf_counter() < end:
                count += clients
                body = {"query": queries[count % len(queries)], "documents": mine, "top_n": 10}
                started = time.perf_counter()
                answer = await client.post("/v2/rerank", json=body)
                if answer.status_code == 200:
                    took.append(time.perf_counter() - started)
                else:
                    refused += 1

        started = time.perf_counter()
        await asyncio.gather(*(ask(number) for number in range(clients)))
        elapsed = time.perf_counter() - started
    return {"per_second": len(took) / elapsed, "refused": refused, **told_times(took)}


def in_turns(
    server: Process, ranker: AttentionRanker, queries: Sequence[str], texts: list[str], repeats: int
) -> dict[str, Any]:
    """A call in this process and a request in turn, so that what else runs affects both alike."""
    took: dict[str, list[float]] = {"in_process": [], "served": []}
    cpu = {"in_process": 0.0, "served": 0.0}
    ranker.rank(queries[0], texts)
    with httpx.Client(base_url=server.url, timeout=120) as client:
        client.post("/v2/rerank", json={"query": queries[0], "documents": texts})
        before = seconds_of(client)
        for turn in range(repeats):
            query = queries[turn % len(queries)]
            started, used = time.perf_counter(), time.process_time()
            ranking = ranker.rank(query, texts)
            took["in_process"].append(time.perf_counter() - started)
            cpu["in_process"] += time.process_time() - used
            started, used = time.perf_counter(), server.cpu
            answer = client.post("/v2/rerank", json={"query": query, "documents": texts})
            took["served"].append(time.perf_counter() - started)
            cpu["served"] += server.cpu - used
            best = answer.raise_for_status().json()["results"][0]["index"]
            if best != ranking.chunks[0].index:
                raise RuntimeError(f"the server ranks otherwise: {best} first")
        after = seconds_of(client)
    return {
        name: {**told_times(each), "cpu_ms": 1000 * cpu[name] / repeats}
        for name, each in took.items()
    } | {"outside_model_ms": 1000 * (after - before) / repeats}


def seconds_of(client: httpx.Client) -> float:
    """Seconds of all requests to rerank so far, less those that the model took."""
    lines = client.get("/metrics").text.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    requests = float(found['attnmass_request_seconds_sum{route="/v2/rerank"}'])
    return requests - float(found["attnmass_model_seconds_sum"])


def told_times(took: Sequence[float]) -> dict[str, Any]:
    """Median and 99th percentile, in milliseconds."""
    cuts = statistics.quantiles(took, n=100, method="inclusive") if len(took) > 1 else list(took)
    return {
        "requests": len(took),
        "p50_ms": 1000 * statistics.median(took),
        "p99_ms": 1000 * cuts[-1],
    }


def render(told: dict[str, Any]) -> str:
    """The tables for the page."""
    lines = [
        f"With {told['model']} on {told['cores']} cores that server, clients and other work shared "
        f"(load {told['load_before'][0]} before), {told['threads']} thread for each model. One "
        "request at a time, in turns with a call in the process:",
        "",
        "| chunks | in the process, p50 | CPU | request, p50 | p99 | the server's CPU "
        "| of a request, not in the model |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in told["in_turns"]:
        local, served = row["in_process"], row["served"]
        lines.append(
            f"| {row['chunks']} | {local['p50_ms']:.0f} ms | {local['cpu_ms']:.0f} ms "
            f"| {served['p50_ms']:.0f} ms | {served['p99_ms']:.0f} ms | {served['cpu_ms']:.0f} ms "
            f"| {row['outside_model_ms']:.1f} ms |"
        )
    lines += ["", "Many at a time:", "", *_loads(told["served"])]
    lines += [
        "",
        "A cross-encoder of MiniLM-L6's size with random weights, in float32, behind the same "
        "FastAPI and uvicorn (`benchmarks/cross_served.py`); it reads every chunk for every query:",
        "",
        *_loads(told["cross_encoder"]),
    ]
    return "\n".join([*lines, ""])


def _loads(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The table of what many clients got."""
    lines = [
        "| clients | chunks | requests a second | p50 | p99 | refused |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        kind = f", {row['kind']}" if "kind" in row and row["clients"] > 1 else ""
        lines.append(
            f"| {row['clients']}{kind} | {row['chunks']} | {row['per_second']:.2f} "
            f"| {row['p50_ms']:.0f} ms | {row['p99_ms']:.0f} ms | {row['refused']} |"
        )
    return lines


def write(told: dict[str, Any]) -> None:
    """Write it into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{render(told)}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
