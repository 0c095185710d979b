"""Debian's redis-server in a process of its own, and a proxy that can be slow or cut it off."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

BINARY = shutil.which("redis-server")


class Redises:
    """A server that can be stopped, started anew, and paused by its signals."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder, self._options = folder, options
        self.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it answers."""
        given = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *self._options]
        self.process = subprocess.Popen(
            [str(BINARY), *given, "--dir", str(self._folder)], stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.sendall(b"PING\r\n")
                if line.recv(64)[:1] in b"+-":
                    return
            time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def stop(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


@contextmanager
def redises(folder: Path, *options: str) -> Iterator[Redises]:
    """A server with these options, killed at the end."""
    if BINARY is None:
        pytest.skip("needs redis-server")
    found = Redises(folder, *options)
    try:
        yield found
    finally:
        found.stop()


@contextmanager
def slow(port: int, seconds: float) -> Iterator[str]:
    """The address of a proxy that hands each piece of an answer on after some seconds."""
    listener = socket.create_server(("127.0.0.1", 0))
    lines: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket, delay: float) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                time.sleep(delay)
                target.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                mine, _ = listener.accept()
                theirs = socket.create_connection(("127.0.0.1", port))
                lines.extend((mine, theirs))
                for pair in ((mine, theirs, 0.0), (theirs, mine, seconds)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        listener.close()
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
