"""Values in memory: the least recently used are dropped first, and every byte counts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from attnmass.store.forks import Guarded

Value = TypeVar("Value")


class MemoryTier(Guarded, Generic[Value]):
    """Values by key, bounded by the bytes that they take. Threads may share one.

    Values are handed out as they are, not as copies.

    Attributes:
        hits: How many values were found since the tier was built.
        misses: How many were not.
        evictions: How many were dropped to make room.
    """

    def __init__(self, limit: int | None, size: Callable[[Value], int]) -> None:
        """Start empty.

        Args:
            limit: Most bytes to hold; `None` for no bound.
            size: Bytes that a value takes, including all that it keeps alive.
        """
        super().__init__()
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self._limit = limit
        self._size = size
        self._bytes = 0
        self._values: OrderedDict[str, tuple[Value, int]] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    @property
    def bytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def values(self) -> list[Value]:
        """All values, starting with the next to be dropped; none counts as used."""
        with self.lock:
            return [value for value, _ in self._values.values()]

    def get(self, key: str) -> Value | None:
        """The value, now the last to be dropped, or `None`; counts as a hit or a miss."""
        with self.lock:
            found = self._values.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._values.move_to_end(key)
            return found[0]

    def peek(self, key: str) -> Value | None:
        """The value or `None`; counts as neither a hit nor a miss."""
        found = self._values.get(key)
        return None if found is None else found[0]

    def put(self, key: str, value: Value) -> None:
        """Hold a value; one that is larger than the bound by itself is not held.

        A value that is already there stays.
        """
        size = self._size(value)
        with self.lock:
            if key in self._values or (self._limit is not None and size > self._limit):
                return
            self._make_room(size)
            self._values[key] = value, size
            self._bytes += size

    def convert(self, change: Callable[[Value], Value]) -> None:
        """Replace each value by another; the order stays, and the bytes are counted anew.

        Args:
            change: Gives the value to hold instead.
        """
        with self.lock:
            for key, (value, size) in self._values.items():
                value = change(value)
                new_size = self._size(value)
                self._values[key] = value, new_size
                self._bytes += new_size - size
            self._make_room(0)

    def clear(self) -> None:
        """Hold nothing any more; counts stay."""
        with self.lock:
            self._values.clear()
            self._bytes = 0

    def _make_room(self, size: int) -> None:
        while self._limit is not None and self._bytes + size > self._limit:
            _, (_, freed) = self._values.popitem(last=False)
            self._bytes -= freed
            self.evictions += 1
