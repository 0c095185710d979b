"""The side that asks: a shard in another process, as an `attnmass.layouts.shards.Shard`."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Protocol

import torch
from torch import Tensor

from attnmass.cluster.errors import ShardError
from attnmass.cluster.wire import Rows, Seen, Wanted
from attnmass.layouts import LayoutOptions
from attnmass.layouts.base import Advance
from attnmass.layouts.ignored import Places
from attnmass.masses import Queries
from attnmass.results.stats import RankerStats
from attnmass.text.tokens import Tokens

SLICE = 64  # chunks that are read in one call, so that a call's time is bounded


class Ask(Protocol):
    """Calls a method of a `ShardHolder` elsewhere, again if that has died meanwhile."""

    def __call__(self, method: str, *args: Any) -> Any:
        """What the method returns, by its name.

        Raises:
            ShardUnavailableError: If nobody answers.
        """


class RemoteShard:
    """A shard that is asked; several threads may use it.

    Attributes:
        hits: How many chunks queries found there, as in `RankerStats`.
        misses: How many they did not find.
    """

    def __init__(self, ask: Ask, scope: str) -> None:
        """Ask for nothing yet.

        Args:
            ask: Reaches the holder.
            scope: That of the ranker that asks, see `KeepingShard.scope`; any other is refused.
        """
        self._ask = ask
        self._scope = scope
        self._counting = Lock()
        self.hits = self.misses = 0

    def counted(self, stats: RankerStats) -> RankerStats:
        """What the holder counts, with hits and misses as seen by queries from here."""
        return replace(stats, hits=self.hits, misses=self.misses)

    def read(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> RemoteHeld:
        """See `Shard.read`."""
        asked = Asked.of(self._scope, chunks, options)
        missing = self._missing(asked, advance)
        new = {asked.digests[i] for i in missing}  # equal chunks are one
        with self._counting:
            self.hits += len(set(asked.digests)) - len(new)
            self.misses += len(new)
        n_read = 0
        for some in _sliced(missing):
            n_read += self._ask("read", asked.wanted(some, with_ids=True))
            advance(len(some))
        return RemoteHeld(self._ask, asked, n_read)

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> tuple[int, int]:
        """See `Shard.warm`."""
        asked = Asked.of(self._scope, chunks, options)
        missing = self._missing(asked, advance)
        n_chunks = n_tokens = 0
        for some in _sliced(missing):
            read = self._ask("warm", asked.wanted(some, with_ids=True))
            n_chunks, n_tokens = n_chunks + read[0], n_tokens + read[1]
            advance(len(some))
        return n_chunks, n_tokens

    def _missing(self, asked: Asked, advance: Advance) -> list[int]:
        if not asked.chunks:
            return []
        every = range(len(asked.chunks))
        missing = list(self._ask("missing", asked.wanted(every, with_ids=False)))
        advance(len(asked.chunks) - len(missing))
        return missing


@dataclass(frozen=True, slots=True)
class Asked:
    """Chunks that a shard is asked for.

    Attributes:
        scope: That of the ranker that asks.
        chunks: The chunks.
        digests: The digest of each, computed once.
        options: Bounds on a forward pass and a window.
    """

    scope: str
    chunks: Sequence[Tokens]
    digests: Sequence[bytes]
    options: LayoutOptions

    @classmethod
    def of(cls, scope: str, chunks: Sequence[Tokens], options: LayoutOptions) -> Asked:
        """Keep only what in the options is about reading."""
        plain = replace(options, query_rows=False, null_query=False, ignored=())
        return cls(scope, chunks, [chunk.digest for chunk in chunks], plain)

    def wanted(self, places: Sequence[int], *, with_ids: bool) -> Wanted:
        """What is sent about some of them; only with ids can they be read from it."""
        chunks = [self.chunks[i] for i in places]
        return Wanted(
            self.scope,
            b"".join(self.digests[i] for i in places),
            tuple(map(len, chunks)),
            self.options,
            b"".join(array("q", chunk.ids).tobytes() for chunk in chunks) if with_ids else None,
        )


class RemoteHeld:
    """Chunks that a shard elsewhere has; see `attnmass.layouts.shards.Held`.

    Attributes:
        n_read: Tokens that were read for this.
    """

    def __init__(self, ask: Ask, asked: Asked, n_read: int) -> None:
        """Look at nothing yet.

        Args:
            ask: Reaches the holder.
            asked: What it was asked for.
            n_read: See above.
        """
        self._ask = ask
        self._asked = asked
        self._last: tuple[Queries, int, Tensor] | None = None
        self.n_read = n_read

    def __len__(self) -> int:
        return len(self._asked.chunks)

    def look(self, queries: Queries, ignored: Places) -> Tensor:
        """See `Held.look`; what the holder no longer has, it reads for this.

        Raises:
            ShardError: If the holder has no answer for some chunks.
        """
        rows, n_chunks = Rows.of(queries), len(self)
        n_rows, n_heads, _ = rows.vectors.shape
        found = torch.empty(n_chunks, n_heads, n_rows, dtype=torch.float32)
        left = set(range(n_chunks))

        def ask(places: Sequence[int], *, with_ids: bool) -> None:
            mine = {i: ignored[place] for i, place in enumerate(places) if place in ignored}
            wanted = self._asked.wanted(places, with_ids=with_ids)
            seen: Seen = self._ask("look", rows, wanted, mine)
            there = [places[i] for i in seen.places]
            found[there] = torch.tensor(seen.found)
            left.difference_update(there)

        ask(range(n_chunks), with_ids=False)
        for some in _sliced(sorted(left)):  # it has died meanwhile, or has no room for them
            ask(some, with_ids=True)
        if left:
            raise ShardError(f"a shard has no answer for {len(left)} of {n_chunks} chunks")
        return found

    def tokens(self, queries: Queries, place: int) -> Tensor:
        """See `Held.tokens`; the last answer is kept, since spans and relevance need the same.

        Raises:
            ShardError: If there is no answer.
        """
        last = self._last
        if last is not None and last[0] is queries and last[1] == place:
            return last[2]
        rows = Rows.of(queries)
        for with_ids in (False, True):
            scores = self._ask("tokens", rows, self._asked.wanted([place], with_ids=with_ids))
            if scores is not None:
                found = torch.tensor(scores)
                self._last = (queries, place, found)
                return found
        raise ShardError("a shard has no answer for a chunk that it was given to read")


def _sliced(places: Sequence[int]) -> Iterator[Sequence[int]]:
    """Places of chunks, in slices that are read in one call each."""
    for start in range(0, len(places), SLICE):
        yield places[start : start + SLICE]
