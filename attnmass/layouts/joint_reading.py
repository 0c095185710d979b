"""How the joint layout reads a context and looks at it: whole, or in parts if memory is short."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from torch import Tensor

from attnmass.capture import KeyValues, Reader
from attnmass.layouts.tails import Tail, look_from
from attnmass.models.out_of_memory import advising, halving, shrinking, sizes_down

# Where memory is short: tokens in one pass, and keys that a query looks at together.
_SHORTEST_STEP = 64
_BLOCKS = (1024, 256)


class ContextReader:
    """Reads contexts, none of them shorter than was asked for: that would change their scores."""

    def __init__(self, reader: Reader) -> None:
        """Bind to the heads to read."""
        self._reader = reader

    def read(self, ids: Sequence[int], step: int) -> list[KeyValues]:
        """Keys and values of a context, read piece by piece so that no square of it is needed.

        Args:
            ids: Its tokens.
            step: How many are read at once, fewer where memory is too small.

        Raises:
            OutOfMemoryError: If memory does not hold it even in short pieces.
        """
        with _advising(len(ids)):
            return shrinking(lambda size: self._read(ids, size), _steps(step, len(ids)))

    def look(self, past: Sequence[KeyValues], start: int, tails: Sequence[Tail]) -> list[Tensor]:
        """As `look_from`; for fewer tails, and at blocks of the context, where memory is short.

        Raises:
            OutOfMemoryError: If not even that fits.
        """

        def run(key_block: int | None) -> list[Tensor]:
            return halving(
                lambda some: look_from(self._reader, past, start, some, key_block), tails
            )

        with _advising(start):
            return shrinking(run, (None, *_BLOCKS))

    def _read(self, ids: Sequence[int], step: int) -> list[KeyValues]:
        past: list[KeyValues] = []
        for start in range(0, len(ids), step):
            past += self._reader.read([ids[start : start + step]], start, past)
        return past


def _advising(n_tokens: int) -> AbstractContextManager[None]:
    return advising(
        f"a context of {n_tokens} tokens",
        f"pass reading=JointReading(max_context_tokens={max(1, n_tokens // 2)}), say, to read the "
        "chunks in several contexts, which changes scores",
    )


def _steps(most: int, n_tokens: int) -> list[int]:
    """How many tokens at a time a context is read in, and how many where memory is short."""
    if most <= _SHORTEST_STEP:
        return [most]
    half = max(_SHORTEST_STEP, min(most, n_tokens) // 2)
    return [most, *sizes_down(half, _SHORTEST_STEP)]
