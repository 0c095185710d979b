"""The cache as a layout sees it: what windows left, by key, wherever it is kept."""

from __future__ import annotations

from dataclasses import replace

import torch

from attnmass.capture import KeyValues
from attnmass.models.out_of_memory import is_out_of_memory
from attnmass.options.cache import CacheOptions
from attnmass.store.folder import FolderStore
from attnmass.store.formats import from_tensors, pack, to_tensors
from attnmass.store.memory import MemoryStore


class ChunkCache:
    """Memory first, then the folder; what is found there comes into memory.

    One thread at a time may use a cache; its counts may be read at any time.

    Attributes:
        options: What the user said.
        hits: How many windows were found since the cache was built.
        misses: How many were not.
    """

    def __init__(self, options: CacheOptions) -> None:
        """Start with what is in the folder, if there is one."""
        self.options = options
        self.hits = 0
        self.misses = 0
        self.memory = MemoryStore(options.cache_bytes)
        folder = options.folder
        self.folder = None if folder is None else FolderStore(folder, options.cache_folder_bytes)

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self.options.is_on

    @property
    def evictions(self) -> int:
        """How many entries had to leave where they last longest: the folder, else memory."""
        return self.memory.evictions if self.folder is None else self.folder.evictions

    def get(self, key: str, device: torch.device) -> KeyValues | None:
        """An entry, or `None`; counts as a hit or a miss.

        Args:
            key: From `entry_key`.
            device: Where an entry from the folder is put, if there is room.
        """
        if not self.is_on:
            return None
        entry = self.memory.get(key)
        if entry is None and self.folder is not None:
            tensors = self.folder.read(key)
            if tensors is not None:
                entry = _place(from_tensors(tensors), device)
                self.memory.put(key, entry)
        self.hits += entry is not None
        self.misses += entry is None
        return entry

    def has(self, key: str) -> bool:
        """Whether an entry is where it lasts longest: in the folder, else in memory."""
        return key in self.memory if self.folder is None else self.folder.touch(key)

    def pack(self, states: KeyValues) -> KeyValues:
        """What is used and kept instead of `states`, so that hits give what misses gave."""
        return pack(states, self.options.cache_format) if self.is_on else states

    def put(self, key: str, packed: KeyValues) -> None:
        """Keep an entry that `pack` made."""
        self.memory.put(key, packed)
        if self.folder is not None:
            self.folder.write(key, to_tensors(packed))


def _place(entry: KeyValues, device: torch.device) -> KeyValues:
    """The entry on a device; where that is full it stays, and passes read it from there."""
    try:
        entry = entry.to(device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    return replace(entry, positions=entry.positions.to(device))  # masks need them there
