"""A ranker whose chunks lie in shards, and a ranker as a shard of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from attnmass.engine.engine import Engine
from attnmass.engine.forking import ForkLock
from attnmass.engine.staying import refuse
from attnmass.engine.tally import Tally
from attnmass.engine.worker import Worker
from attnmass.errors import UnsupportedModelError
from attnmass.layouts import Held, KeepingShard, LayoutOptions, Shard, ShardableLayout, Shards
from attnmass.layouts.base import Advance
from attnmass.masses import KeyVectors
from attnmass.models.ambient import alone, undisturbed
from attnmass.options.cache import CacheOptions
from attnmass.options.keywords import names_nearest
from attnmass.store import ChunkCache
from attnmass.text.tokens import Tokens

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class LockedShard:
    """A ranker's own shard, for other threads: its model is used by one at a time.

    Attributes:
        inner: The shard, for whoever holds the lock.
        lock: Of the ranker.
        cache: Where the shard keeps what was read.
    """

    inner: KeepingShard
    lock: ForkLock
    cache: ChunkCache

    def __copy__(self) -> LockedShard:
        """Itself: there is nothing to change."""
        return self

    def __reduce__(self) -> NoReturn:
        """It cannot be pickled, like its ranker, see `Stays`."""
        refuse(type(self))

    @property
    def evictions(self) -> int:
        """How many entries had to leave its store, or were too large for it."""
        return self.cache.evictions

    @property
    def trouble(self) -> str | None:
        """Why its folder cannot be used; `None` where it can, or there is none."""
        folder = self.cache.folder
        return None if folder is None else folder.trouble

    @property
    def scope(self) -> str:
        """See `KeepingShard.scope`."""
        with undisturbed(), self.lock:
            return self.inner.scope

    @alone
    def find(self, chunks: Sequence[Tokens], options: LayoutOptions) -> list[KeyVectors | None]:
        """See `KeepingShard.find`."""
        with self.lock:
            return self.inner.find(chunks, options)

    @alone
    def read(self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance) -> Held:
        """See `Shard.read`; to look at what is held needs no model, and no lock."""
        with self.lock:
            return self.inner.read(chunks, options, advance)

    @alone
    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> tuple[int, int]:
        """See `Shard.warm`."""
        with self.lock:
            return self.inner.warm(chunks, options, advance)


@names_nearest
class Sharding(Engine):
    """An engine that looks at chunks wherever they lie."""

    @property
    def shard(self) -> LockedShard:
        """This ranker's model and store as a shard, for rankers of the same model.

        Raises:
            UnsupportedModelError: If the layout keeps no key vectors.
        """
        return LockedShard(self._shardable.own_shard(), self._lock, self._cache)

    def shard_in(self, **storing: Any) -> LockedShard:
        """This ranker's model as a shard with a store of its own.

        Args:
            **storing: `store`, `store_bytes`, `shared_store` and `memory_bytes`, as in the
                constructor.

        Raises:
            UnsupportedModelError: If the layout keeps no key vectors.
            TypeError, ValueError: If an option is off.
        """
        cache = ChunkCache(CacheOptions(**storing))
        return LockedShard(self._shardable.own_shard(cache), self._lock, cache)

    def sharded(
        self,
        shards: Mapping[str, Shard],
        *,
        placing: Callable[[Sequence[Tokens]], Sequence[str]] | None = None,
        at_once: bool = False,
    ) -> Self:
        """A ranker with this one's model, heads and options, whose chunks lie in shards.

        This one is left as it is. Only the query is read here; chunks are read, kept and looked at
        by their shards. However chunks are split, rankings, spans, explanations and evidence are
        those of one ranker, to the bit, if their key vectors are: a chunk that is read in another
        batch may have others, by rounding. Its `stats` count calls, tokens and seconds; hits,
        misses and bytes are those of this ranker's own store, which it does not use.

        Args:
            shards: By names that stay the same, since they decide which chunk lies where.
            placing: The name of each chunk's shard, by its tokens; default: rendezvous hashing, so
                that another shard takes over only what it will have.
            at_once: Ask the shards side by side: for those that lie elsewhere.

        Raises:
            UnsupportedModelError: If the layout keeps no key vectors.
            ValueError: If there is no shard.
        """
        own = {
            name: shard.inner
            if isinstance(shard, LockedShard) and shard.lock is self._lock
            else shard
            for name, shard in shards.items()
        }
        made = copy(self)
        made._layout = self._shardable.over(Shards(own, placing=placing, at_once=at_once))
        made._keeps = True
        made._tally, made._worker = Tally(), Worker()
        return made

    @property
    def _shardable(self) -> ShardableLayout:
        layout = self._layout
        if not isinstance(layout, ShardableLayout):
            raise UnsupportedModelError(
                f"layout {self._profile.layout!r} reads chunks with others or with the query, so "
                "they cannot be split into shards: use a decoder in the layout 'late'"
            )
        return layout
