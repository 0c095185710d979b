"""Key vectors of chunks, kept between calls: in memory, and if wanted in a folder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch

from attnmass.masses import KeyVectors
from attnmass.store import ChunkCache


class KeptVectors:
    """What chunks left, by key, bounded as the ranker's cache is."""

    def __init__(self, cache: ChunkCache, n_heads: int, n_dims: int) -> None:
        """Start with nothing; `n_heads` and `n_dims` are the shape of a token's vectors."""
        self._cache = cache
        self._shape = (n_heads, n_dims)
        self._memory: OrderedDict[str, KeyVectors] = OrderedDict()

    def get(self, sizes: Mapping[str, int], device: torch.device) -> dict[str, KeyVectors]:
        """Entries by key, of those that are there; `sizes` are their tokens."""
        found = {key: self._memory[key] for key in sizes if key in self._memory}
        self._cache.hits += len(found)
        self._cache.misses += len(sizes) - len(found)
        return found

    def has(self, keys: Sequence[str]) -> set[str]:
        """Which of the keys are there."""
        return {key for key in keys if key in self._memory}

    def put(self, key: str, vectors: KeyVectors) -> None:
        """Keep an entry."""
        if self._cache.is_on:
            self._memory[key] = vectors
