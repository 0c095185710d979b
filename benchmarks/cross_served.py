"""A cross-encoder of MiniLM-L6's size behind FastAPI, to measure `attnmass serve` against.

python -m benchmarks.cross_served

Prints where it listens. Requests are scored one after the other, in one thread besides the
server's, in float32; its weights are random: this shows what it costs, not what it finds.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.baselines import CrossEncoder


class Asked(BaseModel):
    """What is asked, in Cohere's form."""

    query: str
    documents: list[str]
    top_n: int


def made() -> FastAPI:
    """The application, with its model in memory."""
    app, model, one = FastAPI(), CrossEncoder(), ThreadPoolExecutor(1)

    @app.post("/v2/rerank")
    async def rerank(asked: Asked) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        logits = await loop.run_in_executor(one, model, asked.query, asked.documents)
        found = logits[:, 1].sigmoid().topk(min(asked.top_n, len(logits)))
        pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
        return {"results": [{"index": i, "relevance_score": score} for i, score in pairs]}

    return app


@contextmanager
def crossed() -> Iterator[str]:
    """The server in its own process; gives its address."""
    command = [sys.executable, "-m", "benchmarks.cross_served"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def main() -> None:
    """Listen on a free port of this machine, and serve."""
    app = made()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        server.run(sockets=[listening])


if __name__ == "__main__":
    main()
