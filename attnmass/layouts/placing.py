"""Which of several shards chunks lie in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from attnmass.text.tokens import Tokens


class Placing:
    """Which of several shards a chunk lies in, by rendezvous hashing of its tokens.

    Each shard has a number for each chunk, and the highest gets it (Thaler and Ravishankar, 1998).
    Where a shard is added, only what moves to it moves, some 1/n; where one is removed, only what
    it had.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Number the shards.

        Args:
            names: What shards are called. The same names, in any order, place chunks in the same
                way everywhere.

        Raises:
            ValueError: If there is no name, or a name occurs twice.
        """
        if not names:
            raise ValueError("there is no shard: pass at least one")
        if len(set(names)) < len(names):
            raise ValueError(
                f"a shard's name appears twice in {list(names)}: give each a name of its own"
            )
        self._names = sorted(names)
        seeds = [hashlib.sha256(name.encode()).digest()[:8] for name in self._names]
        self._seeds = np.array([int.from_bytes(seed, "little") for seed in seeds], dtype=np.uint64)

    def __call__(self, chunks: Sequence[Tokens]) -> list[str]:
        """The name of each chunk's shard."""
        digests = b"".join(chunk.digest[:8] for chunk in chunks)
        numbers = np.frombuffer(digests, dtype="<u8").astype(np.uint64)
        best = _mixed(numbers[:, None] ^ self._seeds).argmax(axis=1)
        return [self._names[place] for place in best.tolist()]


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Every bit of a number spread over all of it: the end of SplitMix64 (Steele et al., 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(numbers ^ (numbers >> np.uint64(31)))
