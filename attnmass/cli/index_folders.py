"""The folders that `attnmass index` writes: a store, or one for each shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from attnmass.cli.errors import UsageError, api_arguments
from attnmass.cli.model_options import StoreGroup
from attnmass.options.clustering import shard_names

if TYPE_CHECKING:
    from attnmass.store.disk import DiskStore


class Size(NamedTuple):
    """How much is in them, as `StoreStats` has it."""

    tokens: int
    value_bytes: int
    disk_bytes: int


class Folders:
    """One store or several, as one.

    Attributes:
        stores: One, or one for each shard.
        limit: The bound on all of them together, in bytes; `None` for none.
    """

    def __init__(self, stores: Sequence[DiskStore]) -> None:
        """Join stores of one limit."""
        self.stores = stores
        limits = [store.limit for store in stores]
        self.limit = None if None in limits else sum(limit for limit in limits if limit is not None)

    @classmethod
    def open(cls, store: StoreGroup, n_shards: int) -> Folders:
        """Those that options name.

        Raises:
            UsageError: If a folder is none, or has too little room for anything.
        """
        from attnmass.options.cache import CacheOptions
        from attnmass.store.disk import DiskStore
        from attnmass.store.statements import SMALLEST_LIMIT

        options = CacheOptions(**store.given())
        folder, limit = options.folder, options.store_bytes
        if folder is None:
            raise TypeError("checked before")
        if limit is not None and limit < SMALLEST_LIMIT:
            raise UsageError(
                f"--store-bytes {limit} is too little for any chunk: pass at least {SMALLEST_LIMIT}"
            )
        parts = [folder] if n_shards == 1 else [folder / name for name in shard_names(n_shards)]
        with api_arguments():
            return cls([DiskStore(part, limit) for part in parts])

    def size(self) -> Size:
        """How much is in them now."""
        found = [store.stats() for store in self.stores]
        return Size(
            sum(each.tokens for each in found),
            sum(each.value_bytes for each in found),
            sum(each.disk_bytes for each in found),
        )

    def note_written(self, model: str, layout: str) -> None:
        """Note in each who is going to write.

        Raises:
            OSError, ValueError: If one cannot be written.
        """
        from attnmass.store.written import note_written

        for store in self.stores:
            note_written(store, model, layout)

    def close(self) -> None:
        """Close them."""
        for store in self.stores:
            store.close()
