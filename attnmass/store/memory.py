"""Entries in memory: the least recently used go first, and every byte counts."""

from __future__ import annotations

from collections import OrderedDict

import torch

from attnmass.capture import KeyValues
from attnmass.store.formats import held_bytes


class MemoryStore:
    """Entries by key, bounded by the bytes of the storages that they hold.

    One thread at a time may use a store.

    Attributes:
        bytes: What is held now.
        evictions: How many entries had to go since the store was built.
    """

    def __init__(self, limit: int | None) -> None:
        """Start empty.

        Args:
            limit: Most bytes to hold; `None` for no bound.
        """
        self.bytes = 0
        self.evictions = 0
        self._limit = limit
        self._entries: OrderedDict[str, KeyValues] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> KeyValues | None:
        """The entry, which is now the last to go, or `None`."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: str, entry: KeyValues) -> None:
        """Hold an entry; one that is larger than the bound by itself is not held."""
        size = held_bytes(entry)
        if key in self._entries or (self._limit is not None and size > self._limit):
            return
        while self._limit is not None and self.bytes + size > self._limit:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= held_bytes(oldest)
            self.evictions += 1
        self._entries[key] = entry
        self.bytes += size

    def move(self, device: torch.device) -> None:
        """Hold all entries on another device; the order and the bytes stay."""
        for key in self._entries:
            self._entries[key] = self._entries[key].to(device)

    def is_off(self, device: torch.device) -> bool:
        """Whether an entry lies on a device of another type."""
        return any(entry.device.type != device.type for entry in self._entries.values())
