"""The quality and cost of the models with a short name, as `benchmarks/tiers.py` measured them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

_FILE = "tiers.json"


@dataclass(frozen=True, slots=True)
class Tier:
    """One model in the layout that it is read in by default.

    Attributes:
        layout: The layout.
        layers_read: Layers that run.
        layers: Layers that it has.
        quality: Mean nDCG@10 by set, on queries that selected nothing.
        queries: How many queries of each set.
        index_1000_seconds: Seconds that one core takes to read 1,000 chunks of some 130 tokens.
        warm_milliseconds: Milliseconds that one core takes for a query over as many chunks that
            were already read.
        bytes_a_token: Bytes kept for a token; `None` where all keys and values are kept.
        memory_bytes: The most memory that the process takes while it reads chunks.
    """

    layout: str
    layers_read: int
    layers: int
    quality: Mapping[str, float]
    queries: Mapping[str, int]
    index_1000_seconds: int
    warm_milliseconds: Mapping[int, int]
    bytes_a_token: float | None
    memory_bytes: int


@cache
def tiers() -> Mapping[str, Tier]:
    """The tiers of all models that were measured, by their short names."""
    text = (resources.files(__package__) / _FILE).read_text(encoding="utf-8")
    return {name: _tier(**found) for name, found in json.loads(text).items()}


def _tier(**found: Any) -> Tier:
    scores = found.pop("ndcg@10")
    warm = found.pop("warm_milliseconds")
    return Tier(
        **found,
        quality={name: one["mean"] for name, one in scores.items()},
        queries={name: one["queries"] for name, one in scores.items()},
        warm_milliseconds={int(size): value for size, value in warm.items()},
    )
