"""The side that has the key vectors: what a shard in another process answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from attnmass.cluster.errors import ShardError
from attnmass.cluster.wire import Floats, Rows, Seen, Wanted
from attnmass.layouts.late_masses import HeldVectors
from attnmass.masses import KeyVectors
from attnmass.models.ambient import alone

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker
    from attnmass.results.stats import RankerStats


class ShardHolder:
    """Keeps, reads and looks at chunks for rankers elsewhere; many threads may ask.

    Nothing is remembered between two calls except what the store keeps, so whoever asks may ask
    again after this process has died and another has taken its place.
    """

    def __init__(self, ranker: AttentionRanker) -> None:
        """Serve what a ranker keeps.

        Args:
            ranker: The ranker whose model reads, and whose store keeps.

        Raises:
            UnsupportedModelError: If its layout keeps no key vectors.
        """
        self._ranker = ranker
        self._shard = ranker.shard

    def scope(self) -> str:
        """See `KeepingShard.scope`."""
        return self._shard.scope

    def stats(self) -> RankerStats:
        """What is kept here; one request may look a chunk up twice, see `RemoteShard.counted`."""
        return self._ranker.stats

    def missing(self, wanted: Wanted) -> tuple[int, ...]:
        """The places of chunks that would have to be read.

        Raises:
            ShardError: If another model asks.
        """
        return tuple(place for place, keys in enumerate(self._find(wanted)) if keys is None)

    def read(self, wanted: Wanted) -> int:
        """Read chunks that are not kept, whose ids came along; returns how many tokens that was.

        Raises:
            ShardError: If another model asks.
        """
        return self._read(wanted).n_read

    def warm(self, wanted: Wanted) -> tuple[int, int]:
        """See `Shard.warm`; ids came along.

        Raises:
            ShardError: If another model asks.
        """
        self._check(wanted)
        return self._shard.warm(wanted.chunks(), wanted.options, lambda _: None)

    @alone
    def look(self, rows: Rows, wanted: Wanted, ignored: Mapping[int, Sequence[int]]) -> Seen:
        """What chunks have for a query, for those that are kept or whose ids came along.

        Args:
            rows: The query.
            wanted: The chunks.
            ignored: As in `Held.look`, by the place in `wanted`.

        Raises:
            ShardError: If another model asks.
        """
        found = self._read(wanted).keys if wanted.ids is not None else self._find(wanted)
        held = {place: keys for place, keys in enumerate(found) if keys is not None}
        places = tuple(held)
        mine = {i: ignored[place] for i, place in enumerate(places) if place in ignored}
        vectors = list(held.values())
        seen = HeldVectors(vectors).look(rows.queries(_device(vectors)), mine)
        return Seen(places, seen.numpy())

    @alone
    def tokens(self, rows: Rows, wanted: Wanted) -> Floats | None:
        """The scores of one chunk's tokens, `[row, head, token]`; `None` where it is not kept.

        Raises:
            ShardError: If another model asks.
        """
        (keys,) = self._read(wanted).keys if wanted.ids is not None else self._find(wanted)
        if keys is None:
            return None
        scores = HeldVectors([keys]).tokens(rows.queries(_device([keys])), 0)
        return scores.numpy()

    def _find(self, wanted: Wanted) -> list[KeyVectors | None]:
        self._check(wanted)
        return self._shard.find(wanted.chunks(), wanted.options)

    def _read(self, wanted: Wanted) -> HeldVectors:
        self._check(wanted)
        held = self._shard.read(wanted.chunks(), wanted.options, lambda _: None)
        if not isinstance(held, HeldVectors):
            raise ShardError("a holder's own shard must keep its key vectors in this process")
        return held

    def _check(self, wanted: Wanted) -> None:
        if wanted.scope != self._shard.scope:
            raise ShardError(
                "this shard reads with another model, other heads or another prompt than the "
                "ranker that asks it: load both with the same options, from the same weights"
            )


def _device(keys: Sequence[KeyVectors]) -> torch.device:
    return keys[0].codes.device if keys else torch.device("cpu")
