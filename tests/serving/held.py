"""The server over the tiny model, whose calls take as long as a variable says.

A query with `die` in it ends the model's thread, one with `compute` has torch busy for a minute.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from attnmass import AttentionRanker
from attnmass.cli import main, session
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer


class Held(AttentionRanker):
    """Takes its time."""

    def rank_batch(self, queries: Sequence[str], chunks: Any, **options: Any) -> Any:
        """As the real one, later."""
        time.sleep(float(os.environ.get("HELD_SECONDS", "0")))
        if any("die" in query for query in queries):
            raise SystemExit(3)
        end = time.monotonic() + 60
        while any("compute" in query for query in queries) and time.monotonic() < end:
            torch.ones(500, 500) @ torch.ones(500, 500)
        return super().rank_batch(queries, chunks, **options)


if __name__ == "__main__":
    folder = os.environ.get("HELD_STORE")
    session.load_ranker = lambda *_, **__: Held(  # type: ignore[assignment]
        tiny_model(),
        tiny_tokenizer(),
        heads=HEADS,
        memory_bytes=8 << 20,  # full within seconds, so that what grows then is no store
        store=folder,
    )
    sys.argv[0] = "attnmass"
    main()
