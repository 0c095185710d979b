"""What tests of stores that machines share have in common."""

from __future__ import annotations

from typing import Any

from attnmass import AttentionRanker
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

QUERY = "Where was Einstein born?"
CHUNKS = ["Trains to Munich leave hourly.", "Einstein was born in Ulm. He sailed.", "It rains."]


def ranker(url: str | None, **options: Any) -> AttentionRanker:
    """The tiny ranker over a shared store."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, shared_store=url, **options)
