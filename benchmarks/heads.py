"""What every head of a model gives the chunks of a query."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnmass import AttentionRanker
from attnmass.capture import Head
from attnmass.models.sizes import every_head
from benchmarks.data import Labelled

PROFILES = Path(__file__).parents[1] / "attnmass" / "profiles" / "data"


def config_of(ranker: AttentionRanker) -> Any:
    """The config of a ranker's model."""
    return ranker._layout._reader.config  # type: ignore[attr-defined]


def all_heads(model: str) -> list[Head]:
    """Every `(layer, head)` of a model."""
    return every_head(config_of(AttentionRanker.from_pretrained(model, rank_by="attention")))


def masses_of(ranker: AttentionRanker, query: Labelled) -> npt.NDArray[np.float32]:
    """Mass of every head on every chunk, `[head, chunk]`."""
    found = ranker.attention(query.query, query.texts)
    return np.stack([chunk.sum(dim=1).numpy() for chunk in found.chunks], axis=1)
