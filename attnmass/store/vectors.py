"""Key vectors of chunks, kept between calls: in memory, and in a folder if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from logging import getLogger

import torch

from attnmass.masses import KeyVectors
from attnmass.models.out_of_memory import is_out_of_memory
from attnmass.store.chunks import ChunkCache
from attnmass.store.entry import Entry

_logger = getLogger(__name__)

_AT_ONCE = 500  # values that are read from the folder together


class VectorCache:
    """A `ChunkCache` as layouts that keep key vectors see it.

    What a chunk has is found under a key of its tokens, the model, the heads and the prompt. One
    thread at a time may use it.
    """

    def __init__(self, cache: ChunkCache, n_heads: int, n_dims: int) -> None:
        """Bind to a cache, which counts and bounds.

        Args:
            cache: Memory and folder.
            n_heads: Key heads of each token.
            n_dims: Numbers of a vector.

        Raises:
            ValueError: If the cache is to keep a format other than these vectors have.
        """
        if cache.options.store_format not in (None, "int8"):
            raise ValueError(
                f"store_format={cache.options.store_format!r} is for layout 'parallel' and others "
                "that keep keys and values: this one keeps key vectors in int8, so leave it out"
            )
        self._cache = cache
        self._shape = (n_heads, n_dims)

    def get(self, sizes: Mapping[str, int], device: torch.device) -> dict[str, KeyVectors]:
        """What is there, by key; each key counts as a hit or a miss.

        Args:
            sizes: The number of tokens under each key. What has another number is not returned.
            device: Where vectors from the folder are put, if there is room.
        """
        cache = self._cache
        if not cache.is_on:
            return {}
        found: dict[str, KeyVectors] = {}
        for key in sizes:
            known = cache.vectors.get(key)
            if known is not None:
                found[key] = known
        if cache.lasting:
            missing = [key for key in sizes if key not in found]
            for start in range(0, len(missing), _AT_ONCE):
                data = cache.lasting.read(missing[start : start + _AT_ONCE])
                for key, value in data.items():
                    vectors = KeyVectors.from_bytes(value, sizes[key], *self._shape)
                    if vectors is None:
                        _logger.warning("a value of the store is not what its key says: left out")
                        continue
                    found[key] = _placed(vectors, device)
                    cache.vectors.put(key, found[key])
        cache.hits += len(found)
        cache.misses += len(sizes) - len(found)
        return found

    def has(self, keys: Sequence[str]) -> set[str]:
        """Which entries are where they last longest: in the folder, else in memory."""
        if not self._cache.lasting:
            return {key for key in keys if key in self._cache.vectors}
        return self._cache.lasting.has(keys)

    def put(self, entries: Mapping[str, KeyVectors]) -> None:
        """Keep vectors by their keys."""
        cache = self._cache
        for key, vectors in entries.items():
            cache.vectors.put(key, vectors)
        if cache.lasting:
            cache.lasting.write(
                {key: Entry(found.to_bytes(), len(found)) for key, found in entries.items()}
            )


def _placed(vectors: KeyVectors, device: torch.device) -> KeyVectors:
    """The vectors on a device; where that is full they stay, and are looked at from there."""
    try:
        return vectors.to(device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    return vectors
