"""The cache as a layout sees it: what windows left behind, by key, wherever it is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from logging import getLogger

import torch

from attnmass.capture import KeyValues
from attnmass.masses import KeyVectors
from attnmass.models.out_of_memory import is_out_of_memory
from attnmass.options.cache import CacheOptions
from attnmass.store.disk import DiskStore
from attnmass.store.entry import Entry
from attnmass.store.formats import from_bytes, held_bytes, pack, to_bytes
from attnmass.store.memory import MemoryTier
from attnmass.store.tiers import Tiers

_logger = getLogger(__name__)


class ChunkCache:
    """Memory first, then what lasts; what is found there comes into memory.

    One thread at a time may use a cache; its counts may be read at any time.

    Attributes:
        options: What the user said.
        lasting: What is kept beyond the process.
        memory: What is held of keys and values.
        vectors: What is held of key vectors. A cache serves one layout, which keeps either.
        hits: How many windows were found since the cache was built.
        misses: How many were not.
    """

    def __init__(self, options: CacheOptions) -> None:
        """Start with what is in the folder, if there is one."""
        self.options = options
        self.hits = 0
        self.misses = 0
        self.memory = MemoryTier(options.memory_bytes, held_bytes)
        self.vectors = MemoryTier[KeyVectors](options.memory_bytes, lambda found: found.nbytes)
        self.lasting = Tiers(options)

    @property
    def folder(self) -> DiskStore | None:
        """The folder, if there is one."""
        return self.lasting.folder

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self.options.is_on

    @property
    def evictions(self) -> int:
        """How many entries are no longer where they last longest: the folder, else memory.

        In a folder, those that are too large for it count too.
        """
        return self.lasting.evictions if self.folder is not None else self.memory_evictions

    @property
    def memory_bytes(self) -> int:
        """What is held in memory now."""
        return self.memory.bytes + self.vectors.bytes

    @property
    def memory_evictions(self) -> int:
        """How many entries had to leave memory."""
        return self.memory.evictions + self.vectors.evictions

    def get(
        self, key: str, device: torch.device, fits: Callable[[KeyValues], bool]
    ) -> KeyValues | None:
        """An entry, or `None`; counts as a hit or a miss.

        Args:
            key: From `entry_key`.
            device: Where an entry from the folder is put, if there is room.
            fits: Whether an entry from the folder is one of the model's. A checksum reveals what is
                damaged, but not what somebody else wrote under this key.
        """
        if not self.is_on:
            return None
        entry = self.memory.get(key)
        if entry is None and self.lasting:
            entry = self._read(key, fits)
            if entry is not None:
                entry = _place(entry, device)
                self.memory.put(key, entry)
        self.hits += entry is not None
        self.misses += entry is None
        return entry

    def has(self, key: str) -> bool:
        """Whether an entry is where it lasts longest: in the folder, else in memory."""
        return bool(self.lasting.has([key])) if self.lasting else key in self.memory

    def pack(self, states: KeyValues) -> KeyValues:
        """What is used and kept instead of `states`, so that hits give what misses gave."""
        return pack(states, self.options.store_format) if self.is_on else states

    def put(self, entries: Mapping[str, KeyValues]) -> None:
        """Keep entries that `pack` made, by their keys."""
        for key, entry in entries.items():
            self.memory.put(key, entry)
        if self.lasting:
            self.lasting.write(
                {key: Entry(to_bytes(entry), len(entry)) for key, entry in entries.items()}
            )

    def move(self, device: torch.device) -> None:
        """Hold what is in memory on another device."""
        self.memory.convert(lambda entry: entry.to(device))

    def is_off(self, device: torch.device) -> bool:
        """Whether an entry in memory is on a device of another type."""
        return any(entry.device.type != device.type for entry in self.memory.values())

    def _read(self, key: str, fits: Callable[[KeyValues], bool]) -> KeyValues | None:
        data = self.lasting.read([key]).get(key)
        if data is None:
            return None
        try:
            entry = from_bytes(data)
        except ValueError as error:
            _logger.warning("an entry of the chunk cache is malformed: %s", error)
            return None
        if not fits(entry):
            _logger.warning("an entry of the chunk cache is of another model than its key says")
            return None
        return entry


def _place(entry: KeyValues, device: torch.device) -> KeyValues:
    """The entry on a device; where that is full it stays, and passes read it from there."""
    try:
        entry = entry.to(device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    return replace(entry, positions=entry.positions.to(device))  # masks need them there
