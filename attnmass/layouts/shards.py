"""Candidates in parts: each is looked at where its key vectors lie, and the parts are merged.

What a chunk has for a query depends only on its own key vectors and the query's (see
`attnmass.masses.look`), so it does not matter which shard has which chunk. What shards found is put
back into the order of the candidates before anything is made from it: masses, scores, evidence and
spans are, to the bit, those of one shard that has all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from attnmass.layouts.base import Advance, Layout, LayoutOptions
from attnmass.layouts.ignored import Places
from attnmass.layouts.placing import Placing
from attnmass.masses import KeyVectors, Queries
from attnmass.store import ChunkCache
from attnmass.text.tokens import Tokens

Result = TypeVar("Result")


class Held(Protocol):
    """Chunks whose key vectors lie somewhere, in the order in which they were asked for.

    Attributes:
        n_read: Tokens of chunks that the model had to read for this.
    """

    @property
    def n_read(self) -> int:
        """See above."""

    def __len__(self) -> int:
        """How many chunks."""

    def look(self, queries: Queries, ignored: Places) -> Tensor:
        """How much each chunk has before it shares, see `attnmass.masses.look`.

        Args:
            queries: The rows.
            ignored: For some chunks, by their place, the tokens that do not count.

        Returns:
            `[chunk, head, row]`, fp32, on the CPU; minus infinity for a chunk with no token that
            counts.
        """

    def tokens(self, queries: Queries, place: int) -> Tensor:
        """The score of each token of one chunk, `[row, head, token]`, fp32, on the CPU.

        Args:
            queries: The rows.
            place: Which chunk.
        """


class Shard(Protocol):
    """Where key vectors of some chunks lie, or are read if they are not there yet."""

    def read(self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance) -> Held:
        """Have the key vectors of chunks at hand.

        Args:
            chunks: The chunks; may be empty.
            options: Bounds on one forward pass, and on a window.
            advance: Called with the number of chunks that have become available since the last
                call.
        """

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> tuple[int, int]:
        """Read what is not kept; returns how many chunks, and how many tokens, that was.

        Args: as in `read`.
        """


class KeepingShard(Shard, Protocol):
    """A shard whose key vectors lie in this process or its store.

    Attributes:
        scope: That of what it keeps: a digest of all that key vectors depend on besides their
            chunk, above all the model's weights. Shards of one ranker have the same scope.
    """

    @property
    def scope(self) -> str:
        """See above."""

    def find(self, chunks: Sequence[Tokens], options: LayoutOptions) -> list[KeyVectors | None]:
        """What is kept of each chunk, found by its digest and length alone; else `None`.

        Args:
            chunks: The chunks.
            options: Bounds on a window.
        """


@runtime_checkable
class ShardableLayout(Layout, Protocol):
    """A layout whose chunks may lie in shards."""

    def own_shard(self, cache: ChunkCache | None = None) -> KeepingShard:
        """What it keeps and reads by itself.

        Args:
            cache: Where what was read is kept; default: where the layout itself keeps it.
        """

    def over(self, shard: Shard) -> ShardableLayout:
        """The same layout, with its chunks in another shard, which may be `Shards`."""


@runtime_checkable
class HoldsAgainst(ShardableLayout, Protocol):
    """A layout that compares every chunk with a background, see `QueryAttention.beside`."""

    def against(self, texts: Sequence[Tokens]) -> HoldsAgainst:
        """The same layout with these texts as its background."""

    def company(self) -> Shard:
        """Where the background lies, for whoever asks for its texts as chunks: none is reread."""


class Shards:
    """Several shards as one, each of which is asked for the chunks that it has."""

    def __init__(
        self,
        shards: Mapping[str, Shard],
        *,
        placing: Callable[[Sequence[Tokens]], Sequence[str]] | None = None,
        at_once: bool = False,
    ) -> None:
        """Look at nothing yet.

        Args:
            shards: The shards by their names.
            placing: The name of each chunk's shard; default: `Placing` among all of them.
            at_once: Whether they are asked side by side, in separate threads: for shards that are
                elsewhere. Those that share a model are asked one after the other.

        Raises:
            ValueError: If there are no shards.
        """
        self._shards = dict(shards)
        self._placing = Placing(list(shards)) if placing is None else placing
        self._n_threads = len(shards) if at_once else 1

    def read(self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance) -> Gathered:
        """See `Shard.read`."""
        step, places = _one_by_one(advance), self._places(chunks)

        def read(name: str) -> Held:
            return self._shards[name].read([chunks[i] for i in places[name]], options, step)

        held = _each(read, list(places), self._n_threads)
        parts = [Part(mine, i) for mine, i in zip(held, places.values(), strict=True)]
        return Gathered(parts, len(chunks), self._n_threads)

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> tuple[int, int]:
        """See `Shard.warm`."""
        step, places = _one_by_one(advance), self._places(chunks)

        def warm(name: str) -> tuple[int, int]:
            return self._shards[name].warm([chunks[i] for i in places[name]], options, step)

        counts = _each(warm, list(places), self._n_threads)
        return sum(chunks for chunks, _ in counts), sum(tokens for _, tokens in counts)

    def _places(self, chunks: Sequence[Tokens]) -> dict[str, list[int]]:
        """For each shard that has any, the places of its chunks."""
        found: dict[str, list[int]] = {}
        for place, name in enumerate(self._placing(chunks) if chunks else ()):
            found.setdefault(name, []).append(place)
        return found


@dataclass(frozen=True, slots=True)
class Part:
    """What one shard has of the candidates.

    Attributes:
        held: Its chunks.
        places: The place of each of them among the candidates.
    """

    held: Held
    places: Sequence[int]


class Gathered:
    """What several shards hold, in the order in which chunks were asked for; see `Held`."""

    def __init__(self, parts: Sequence[Part], n_chunks: int, n_threads: int = 1) -> None:
        """Look at nothing yet.

        Args:
            parts: The parts, which together have every chunk once.
            n_chunks: How many chunks there are.
            n_threads: How many parts are asked side by side.
        """
        self._parts = parts
        self._n_threads = n_threads
        self._where = {
            place: (part, local) for part in parts for local, place in enumerate(part.places)
        }
        if sorted(self._where) != list(range(n_chunks)):
            raise ValueError(f"shards have {len(self._where)} of {n_chunks} chunks")

    @property
    def n_read(self) -> int:
        """See `Held`."""
        return sum(part.held.n_read for part in self._parts)

    def __len__(self) -> int:
        return len(self._where)

    def look(self, queries: Queries, ignored: Places) -> Tensor:
        """See `Held.look`."""

        def look(part: Part) -> Tensor:
            mine = {i: ignored[place] for i, place in enumerate(part.places) if place in ignored}
            return part.held.look(queries, mine)

        n_rows, n_heads, _ = queries.vectors.shape
        found = torch.empty(len(self), n_heads, n_rows, dtype=torch.float32)
        for part, seen in zip(self._parts, _each(look, self._parts, self._n_threads), strict=True):
            found[list(part.places)] = seen
        return found

    def tokens(self, queries: Queries, place: int) -> Tensor:
        """See `Held.tokens`."""
        part, local = self._where[place]
        return part.held.tokens(queries, local)


Item = TypeVar("Item")


def _each(call: Callable[[Item], Result], items: Sequence[Item], n_threads: int) -> list[Result]:
    """A call for each item, side by side where there are threads for it."""
    if n_threads == 1 or len(items) < 2:
        return [call(item) for item in items]
    with ThreadPoolExecutor(min(n_threads, len(items))) as pool:
        return list(pool.map(call, items))


def _one_by_one(advance: Advance) -> Advance:
    """`advance`, for several threads."""
    lock = Lock()

    def step(n_chunks: int) -> None:
        with lock:
            advance(n_chunks)

    return step
