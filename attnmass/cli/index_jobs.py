"""Chunks in batches on their way into a store, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import islice
from typing import TYPE_CHECKING

from attnmass.cli.errors import api_arguments
from attnmass.cli.items import Item
from attnmass.text.chunk import Chunk

if TYPE_CHECKING:
    from typing_extensions import Self

    from attnmass.ranker import AttentionRanker

_FIRST = 8  # chunks of the first batch
_MOST = 512  # of any
_SECONDS = 2.0  # that a batch should take: often enough for a progress bar
_CHARACTERS = 2_000_000  # with which a batch is full


@dataclass(frozen=True, slots=True)
class Done:
    """What became of some chunks.

    Attributes:
        chunks: How many they were.
        characters: How long they were together.
        read: How many the model read.
        skipped: How many were in the store.
        unreadable: How many have nothing to read.
        evicted: How many entries had to leave the store, or were too large for it.
        tokens: That the model read.
        characters_read: Of chunks that were read, about.
        seconds: That it took, summed over processes.
        trouble: Why the store could not be used.
    """

    chunks: int = 0
    characters: int = 0
    read: int = 0
    skipped: int = 0
    unreadable: int = 0
    evicted: int = 0
    tokens: int = 0
    characters_read: int = 0
    seconds: float = 0.0
    trouble: str | None = None

    def __add__(self, other: Done) -> Done:
        """Both together."""
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(Done)
            if field.name != "trouble"
        }
        return Done(**sums, trouble=other.trouble or self.trouble)


class Batches:
    """Chunks in batches, which become as large as takes a few seconds."""

    def __init__(self, items: Iterator[Item]) -> None:
        """Start small.

        Args:
            items: Read as batches are asked for.
        """
        self._items = items
        self._size = _FIRST

    def __iter__(self) -> Self:
        """Itself."""
        return self

    def __next__(self) -> list[Chunk]:
        """The next batch."""
        batch: list[Chunk] = []
        characters = 0
        for item in islice(self._items, self._size):
            batch.append(item.chunk)
            characters += len(item.chunk.text)
            if characters >= _CHARACTERS:
                break
        if not batch:
            raise StopIteration
        return batch

    def adapt(self, done: Done) -> None:
        """Let the next batches take as long as they should, as one took so long."""
        wanted = round(done.chunks * _SECONDS / max(done.seconds, 1e-3))
        self._size = min(max(wanted, _FIRST), 2 * self._size, _MOST)


def read_here(ranker: AttentionRanker, batches: Iterable[list[Chunk]]) -> Iterator[Done]:
    """Read batch after batch into the ranker's store."""
    for batch in batches:
        yield read_batch(ranker, batch)


def n_characters(chunk: Chunk) -> int:
    """Of a chunk, its title included."""
    return len(chunk.text) + len(chunk.title or "")


def read_batch(ranker: AttentionRanker, batch: list[Chunk]) -> Done:
    """Read some chunks, unless they are in the ranker's store."""
    started, tokens = time.perf_counter(), ranker.stats.tokens_encoded
    with api_arguments():  # such as an encoder, which reads nothing ahead
        result = ranker.warm(batch, progress=False)
    stats = ranker.stats
    characters = sum(map(n_characters, batch))
    return Done(
        chunks=len(batch),
        characters=characters,
        read=result.read,
        skipped=result.skipped,
        unreadable=result.unreadable,
        evicted=result.evicted,
        tokens=stats.tokens_encoded - tokens,
        characters_read=round(characters * result.read / len(batch)),
        seconds=time.perf_counter() - started,
        trouble=stats.folder_trouble,
    )
