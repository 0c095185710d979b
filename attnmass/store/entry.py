"""What a store keeps under a key, and what it says about itself: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept under a key.

    Attributes:
        data: The value.
        tokens: How many tokens it stands for.
    """

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store holds, whoever wrote it, and what this object has done.

    Attributes:
        entries: How many values there are.
        tokens: How many tokens they stand for.
        disk_bytes: Bytes that the files take on the disk.
        value_bytes: Bytes that the values alone would take.
        last_used: When a value was last written or read, in seconds since 1970; `None` if there is
            none. Reads are noted within a minute.
        version: That of the file's format.
        hits: How many values this object found.
        misses: How many it did not.
        evictions: How many it removed to make room.
    """

    entries: int
    tokens: int
    disk_bytes: int
    value_bytes: int
    last_used: float | None
    version: int
    hits: int
    misses: int
    evictions: int
