"""A server whose answers a test writes, one for each request, over a real socket."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What is answered: a status, a body, headers, after some seconds; no status hangs up."""

    status: int | None = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def error(status: int, kind: str, message: str = "no", **headers: str) -> Answer:
    """An error as `attnmass serve` tells it."""
    body = {"message": message, "detail": message, "error": message, "error_type": kind}
    return Answer(status, body, {k.replace("_", "-"): v for k, v in headers.items()})


@dataclass
class Scripted:
    """Where it is, and what came."""

    url: str
    requests: list[tuple[str, str, dict[str, str], bytes]]
    times: list[float]


@contextmanager
def scripted(*answers: Answer) -> Iterator[Scripted]:
    """A server with these answers; the last one is given for good."""
    left = list(answers)
    lock = threading.Lock()
    found = Scripted("", [], [])

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            with lock:
                found.times.append(time.monotonic())
                headers = {name.lower(): value for name, value in self.headers.items()}
                found.requests.append((self.command, self.path, headers, self.rfile.read(length)))
                answer = left.pop(0) if len(left) > 1 else left[0]
            time.sleep(answer.seconds)
            if answer.status is None:
                self.close_connection = True
                return
            body = answer.body
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
