"""Labelled queries for a tiny model, and a look at it that finds what it should."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from attnmass import fit_profile
from attnmass.fitting import HeadSelection
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.queries.items import LabelledQuery
from tests.tiny import tiny_model, tiny_tokenizer

GOOD_HEAD = 10  # (2, 2) of the tiny model's three layers of four heads
WORDS = ("river", "city", "music", "train", "number", "physics", "book", "theory")


def rows(n: int = 12, *, sentences: bool = True, seed: int = 0) -> list[dict[str, Any]]:
    """Queries that no word leads to the one relevant chunk of."""
    draw = random.Random(seed)
    found = []
    for number in range(n):
        chunks = []
        for index in range(5):
            texts = [
                f"The {draw.choice(WORDS)} of {draw.choice(WORDS)} {number}." for _ in range(3)
            ]
            starts = [sum(len(text) + 1 for text in texts[:i]) for i in range(3)]
            spans = [
                [start, start + len(text), int(index == 0 and i == number % 3)]
                for i, (start, text) in enumerate(zip(starts, texts, strict=True))
            ]
            chunk = {"id": str(index), "text": " ".join(texts), "relevant": int(index == 0)}
            chunks.append(chunk | ({"sentences": spans} if sentences else {}))
        found.append({"id": f"q{number}", "query": "Einstein?", "chunks": chunks})
    return found


def written(path: Path, data: list[dict[str, Any]]) -> Path:
    """The same as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in data), encoding="utf-8")
    return path


def planted_look(*_: Any) -> Callable[[LabelledQuery], Capture]:
    """Stands for `look_at_heads`: one head of twelve finds what is relevant, all others nothing."""

    def look(query: LabelledQuery) -> Capture:
        labels = np.array([float(chunk.relevant > 0) for chunk in query.chunks])
        spans = np.array([label for chunk in query.chunks for _, _, label in chunk.sentences or ()])
        draw = np.random.default_rng(len(query.id) + int(query.id[1:]))
        masses = (draw.random((12, len(labels))) / 50).astype(np.float32)
        masses[GOOD_HEAD] += 0.1 * labels
        if not query.has_sentences:
            return Capture(masses, np.full(len(labels), 20.0, dtype=np.float32))
        told = (draw.random((12, len(spans))) / 50).astype(np.float32)
        told[GOOD_HEAD - 1] += 0.1 * spans
        tokens = np.full(len(spans), 6.0, dtype=np.float32)
        return Capture(masses, np.full(len(labels), 20.0, dtype=np.float32), None, told, tokens)

    return look


def fit_tiny(place: Path, *args: Any, **options: Any) -> Any:
    """Fit the tiny model.

    Args:
        place: Where captures are kept.
        *args: As in `fit_profile`.
        **options: Those of `HeadSelection`, too.
    """
    chosen = {f.name: options.pop(f.name) for f in fields(HeadSelection) if f.name in options}
    given = {
        "model": tiny_model(),
        "tokenizer": tiny_tokenizer(),
        "captures": place / "captures",
        "progress": False,
        **options,
    }
    return fit_profile(*args, selection=HeadSelection(**chosen), **given)
