"""Other processes that use a store, and how they end."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def in_another_process(code: str, *args: object) -> subprocess.Popen[bytes]:
    """Run Python that knows the helpers of these tests."""
    head = (
        "import os, sys, random, resource, signal, sqlite3, time\n"
        "from pathlib import Path\n"
        "from attnmass.store.disk import DiskStore\n"
        "from attnmass.store.entry import Entry\n"
        "from tests.store.values import MANY, check, items, key, value, write\n"
        "folder = Path(sys.argv[1])\n"
    )
    command = [sys.executable, "-c", head + code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """How a process ended, and what it said on stderr."""
    _, told = process.communicate(timeout=60)
    return process.returncode, told.decode()


_WRITES = """
numbers = random.Random(int(sys.argv[2]))
store = DiskStore(folder, MANY)
print("ready", flush=True)
while True:
    store.write(items(numbers.sample(range(30), 3)))
    check(store)
"""


def killed_writers(folder: Path, seconds: float, seed: int) -> None:
    """Let three processes write, read and evict, and kill each at a moment of its own."""
    moments = random.Random(seed)
    writers = [in_another_process(_WRITES, folder, seed + n) for n in range(3)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        time.sleep(moments.uniform(0, seconds))
        writer.kill()
    told = [ended(writer) for writer in writers]
    assert told == [(-signal.SIGKILL, "")] * 3
