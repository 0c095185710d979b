"""The side that asks: a shard in another process, as `attnmass.layouts.shards.Shard` has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from attnmass.cluster.errors import ShardError
from attnmass.cluster.wire import Rows, Seen, Wanted
from attnmass.layouts import LayoutOptions
from attnmass.layouts.ignored import Places
from attnmass.layouts.shards import Advance
from attnmass.masses import Queries
from attnmass.text.tokens import Tokens

SLICE = 64  # chunks that are read in one call, so that a call's time is bounded


class Ask(Protocol):
    """Calls a method of a `ShardHolder` elsewhere, again if it died meanwhile."""

    def __call__(self, method: str, *args: Any) -> Any:
        """What the method returns, by its name.

        Raises:
            ShardUnavailableError: If nobody answers.
        """


class RemoteShard:
    """A shard that is asked; several threads may use it."""

    def __init__(self, ask: Ask, scope: str) -> None:
        """Ask for nothing yet.

        Args:
            ask: Reaches the holder.
            scope: Of the ranker that asks, see `KeepingShard.scope`; another one's is refused.
        """
        self._ask = ask
        self._scope = scope

    def read(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> RemoteHeld:
        """See `Shard.read`."""
        options = _plain(options)
        missing = self._missing(chunks, options)
        advance(len(chunks) - len(missing))
        n_read = 0
        for start in range(0, len(missing), SLICE):
            some = [chunks[i] for i in missing[start : start + SLICE]]
            n_read += self._ask("read", self._wanted(some, options, with_ids=True))
            advance(len(some))
        return RemoteHeld(self, chunks, options, n_read)

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> tuple[int, int]:
        """See `Shard.warm`."""
        options = _plain(options)
        missing = self._missing(chunks, options)
        advance(len(chunks) - len(missing))
        n_chunks = n_tokens = 0
        for start in range(0, len(missing), SLICE):
            some = [chunks[i] for i in missing[start : start + SLICE]]
            read = self._ask("warm", self._wanted(some, options, with_ids=True))
            n_chunks, n_tokens = n_chunks + read[0], n_tokens + read[1]
            advance(len(some))
        return n_chunks, n_tokens

    def look(
        self, rows: Rows, chunks: Sequence[Tokens], options: LayoutOptions, ignored: Places
    ) -> Tensor:
        """What chunks have, `[chunk, head, row]`; what the holder has not, it reads for it.

        Raises:
            ShardError: If it has an answer for another number of chunks.
        """
        n_rows, n_heads, _ = rows.vectors.shape
        found = torch.empty(len(chunks), n_heads, n_rows, dtype=torch.float32)
        left = set(range(len(chunks)))

        def ask(places: Sequence[int], *, with_ids: bool) -> None:
            some = [chunks[i] for i in places]
            mine = {i: ignored[place] for i, place in enumerate(places) if place in ignored}
            seen: Seen = self._ask(
                "look", rows, self._wanted(some, options, with_ids=with_ids), mine
            )
            there = [places[i] for i in seen.places]
            found[there] = torch.tensor(seen.found)
            left.difference_update(there)

        ask(range(len(chunks)), with_ids=False)
        missing = sorted(left)  # it died meanwhile, or has no room for them
        for start in range(0, len(missing), SLICE):
            ask(missing[start : start + SLICE], with_ids=True)
        if left:
            raise ShardError(f"a shard has no answer for {len(left)} of {len(chunks)} chunks")
        return found

    def tokens(self, rows: Rows, chunk: Tokens, options: LayoutOptions) -> Tensor:
        """The scores of one chunk's tokens, `[row, head, token]`.

        Raises:
            ShardError: If it has none.
        """
        for with_ids in (False, True):
            found = self._ask("tokens", rows, self._wanted([chunk], options, with_ids=with_ids))
            if found is not None:
                return torch.tensor(found)
        raise ShardError("a shard has no answer for a chunk that it was given to read")

    def _missing(self, chunks: Sequence[Tokens], options: LayoutOptions) -> list[int]:
        if not chunks:
            return []
        return list(self._ask("missing", self._wanted(chunks, options, with_ids=False)))

    def _wanted(
        self, chunks: Sequence[Tokens], options: LayoutOptions, *, with_ids: bool
    ) -> Wanted:
        return Wanted.of(self._scope, chunks, options, with_ids=with_ids)


class RemoteHeld:
    """Chunks that a shard elsewhere has; see `attnmass.layouts.shards.Held`.

    Attributes:
        n_read: Tokens that were read for this.
    """

    def __init__(
        self, shard: RemoteShard, chunks: Sequence[Tokens], options: LayoutOptions, n_read: int
    ) -> None:
        """Look at nothing yet.

        Args:
            shard: Where they are.
            chunks: What they are.
            options: With which they were asked for.
            n_read: See above.
        """
        self._shard = shard
        self._chunks = chunks
        self._options = options
        self._last: tuple[Queries, int, Tensor] | None = None
        self.n_read = n_read

    def __len__(self) -> int:
        return len(self._chunks)

    def look(self, queries: Queries, ignored: Places) -> Tensor:
        """See `Held.look`."""
        return self._shard.look(Rows.of(queries), self._chunks, self._options, ignored)

    def tokens(self, queries: Queries, place: int) -> Tensor:
        """See `Held.tokens`; the last answer is kept, since spans and relevance need the same."""
        last = self._last
        if last is not None and last[0] is queries and last[1] == place:
            return last[2]
        found = self._shard.tokens(Rows.of(queries), self._chunks[place], self._options)
        self._last = (queries, place, found)
        return found


def _plain(options: LayoutOptions) -> LayoutOptions:
    """What of the options is about reading."""
    return replace(options, query_rows=False, null_query=False, ignored=())
