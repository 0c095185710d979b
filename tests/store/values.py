"""What tests of the store on disk write, and how they look at what is there."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.store.entry import Entry
from attnmass.store.tables import PAGE_BYTES

SIZE = 3 * PAGE_BYTES
MANY = 64 * PAGE_BYTES  # a bound that some ten values fit into
ROUNDS = int(os.environ.get("STORE_ROUNDS", "300"))  # of the slow tests


def value(number: int, size: int = SIZE) -> bytes:
    """The value of a number; each is another, at every byte."""
    return random.Random(number).randbytes(size)


def key(number: int) -> str:
    """A key as callers make them."""
    return f"{number:064x}"


def items(numbers: Iterable[int], size: int = SIZE) -> dict[str, Entry]:
    """What to write for numbers."""
    return {key(n): Entry(value(n, size), tokens=n) for n in numbers}


def write(store: DiskStore, *numbers: int, size: int = SIZE) -> None:
    """Write values one after the other."""
    for number in numbers:
        store.write(items([number], size))


def kept(folder: Path, count: int = 100) -> list[int]:
    """Which numbers have a value, seen from another store that leaves no trace."""
    file = sqlite3.connect(folder / FILE_NAME)
    found = {name.decode() for (name,) in file.execute("SELECT key FROM entries")}
    file.close()
    return [n for n in range(count) if key(n) in found]


def disk_bytes(folder: Path) -> int:
    """What all files in a folder take."""
    return sum(path.stat().st_size for path in folder.iterdir())


def check(store: DiskStore, count: int = 30) -> int:
    """Make sure that each value is right or a miss; how many were there."""
    found = store.read([key(n) for n in range(count)])
    for number in range(count):
        assert found.get(key(number), value(number)) == value(number)
    return len(found)
