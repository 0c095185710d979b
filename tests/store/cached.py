"""A ranker that keeps chunks, and what it reads of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from attnmass import AttentionRanker
from attnmass.capture import Reader
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

QUERY = "Who developed the theory of relativity?"
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river runs through the city.",
    "words",
    "The river runs through the city.",
    "Numbers are made of numbers, and the query is made of words; " * 4,
]


def build(**options: Any) -> AttentionRanker:
    """A ranker over the tiny model."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), **{"heads": HEADS, **options})


def texts_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of each row that a model reads from here on, prompt excluded."""
    original = Reader.read
    rows: list[int] = []

    def read(self: Reader, ids: Sequence[Sequence[int]], *args: Any) -> Any:
        rows.extend(map(len, ids))
        return original(self, ids, *args)

    monkeypatch.setattr(Reader, "read", read)
    return rows
