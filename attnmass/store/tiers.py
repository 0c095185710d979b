"""What lasts beyond the process: a folder, a store behind it that machines share, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pkgutil import resolve_name
from typing import Protocol
from urllib.parse import urlsplit

from attnmass.options.cache import CacheOptions
from attnmass.options.urls import SHARED_STORES
from attnmass.store.disk import DiskStore
from attnmass.store.entry import Entry


class Shared(Protocol):
    """What `shared_store` names, made from its URL; whatever goes wrong in it is a miss, no error.

    Attributes:
        hits: How many values were found since this was built.
        misses: How many were not, for whatever reason.
        failures: How often it could not be asked, or refused to keep values.
        trouble: Why, the last time.
        bytes_read: Bytes of the values that were found.
        bytes_written: Bytes of the values that it took.
    """

    hits: int
    misses: int
    failures: int
    trouble: str | None
    bytes_read: int
    bytes_written: int

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The values that are there and intact, by key."""

    def has(self, keys: Sequence[str]) -> set[str]:
        """Which values are there, without reading them."""

    def write(self, items: Mapping[str, Entry]) -> None:
        """Keep values, as far as there is room and time, or none if they come in another way."""


class Tiers:
    """The folder first, then what is shared; what is found there is put into the folder.

    A server gets all that is written. Files of an object store have many values each, and are
    written by whoever has read a corpus, see `attnmass.store.copying`.

    Attributes:
        folder: `None` where there is none.
        shared: Likewise.
    """

    def __init__(self, options: CacheOptions) -> None:
        """Use what was named.

        Raises:
            ValueError, ImportError: As `DiskStore`, and as whatever the URL's scheme stands for.
        """
        folder, url = options.folder, options.shared_store
        self.folder = None if folder is None else DiskStore(folder, options.store_bytes)
        self.shared: Shared | None = None
        if url is not None:
            self.shared = resolve_name(SHARED_STORES[urlsplit(url).scheme])(url)

    def __bool__(self) -> bool:
        return self.folder is not None or self.shared is not None

    @property
    def evictions(self) -> int:
        """How many entries the folder lost or could not take; a server has its own ways."""
        folder = self.folder
        return 0 if folder is None else folder.evictions + folder.too_large

    def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values that are there and intact, by key."""
        found = {} if self.folder is None else self.folder.read(keys)
        missing = [key for key in keys if key not in found]
        if self.shared is None or not missing:
            return found
        more = self.shared.read(missing)
        if more and self.folder is not None:
            self.folder.write(more)
        return found | {key: entry.data for key, entry in more.items()}

    def has(self, keys: Sequence[str]) -> set[str]:
        """Which values are there, without reading them."""
        found = set() if self.folder is None else self.folder.has(keys)
        missing = [key for key in keys if key not in found]
        return found | self.shared.has(missing) if self.shared is not None and missing else found

    def write(self, items: Mapping[str, Entry]) -> None:
        """Keep values in the folder, and in a server."""
        if self.folder is not None:
            self.folder.write(items)
        if self.shared is not None and items:
            self.shared.write(items)
