"""What the examples with a server share: starting and ending `attnmass serve`."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

PATIENCE = 300  # seconds until the model is loaded


@contextmanager
def served(model: str = "smollm2-135m") -> Iterator[str]:
    """The URL of a server with this model, once it takes requests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "attnmass", "serve", "--model", model, "--port", str(port), "--quiet"]
    # The first request reads every chunk: clients are told to come back after that, and not before.
    command += ["--request-timeout", "600"]
    process = subprocess.Popen([sys.executable, *command])
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("attnmass serve did not start")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False
