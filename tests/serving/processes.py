"""A server in a process of its own, over a real socket."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]


def heed_interrupts() -> None:
    """What a shell does for what it starts in the foreground."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Process:
    """`attnmass serve`, and what it logs."""

    def __init__(self, *args: str | Path, module: str = "attnmass", **more: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **more}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "serve", "--port", "0", *map(str, args)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment,
            preexec_fn=heed_interrupts,
        )
        self.lines: list[str] = []
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if "listening at" in line:
                self._listening.set()
        self._listening.set()

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was logged."""
        return [json.loads(line) for line in self.lines]

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._listening.wait(60)
        found = re.search(r"listening at ([\d.]+) port (\d+)", "\n".join(self.lines))
        assert found is not None, self.lines
        return f"http://{found[1]}:{found[2]}"

    def wait_until_ready(self, seconds: float = 120) -> None:
        """Wait for the model."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            if httpx.get(f"{self.url}/ready", timeout=10).status_code == 200:
                return
            time.sleep(0.1)
        raise AssertionError("\n".join(self.lines))

    def end(self, number: int = signal.SIGTERM, seconds: float = 60) -> int:
        """Send a signal and wait; gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def close(self) -> None:
        """Kill what is still there, and read its log to the end."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    @property
    def cpu(self) -> float:
        """Seconds of a processor that it used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> int:
        """Bytes that it holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


@contextmanager
def process(*args: str | Path, **more: Any) -> Iterator[Process]:
    """A server that is ready; killed if it is still there at the end."""
    found = Process(*args, **more)
    try:
        found.wait_until_ready()
        yield found
    finally:
        found.close()
