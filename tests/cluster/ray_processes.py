"""Processes of Ray: where they run, how long they may take, and which are left."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tests.engine.relevance import PARAGRAPHS

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


def processes_of(folder: str) -> list[int]:
    """Those that run and have the folder in their environment, as all that Ray starts."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"RAY_TMPDIR={folder}".encode() in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found
