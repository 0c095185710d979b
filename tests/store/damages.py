"""Ways to damage a store, and what has to hold of it then."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.store.tables import PAGE_BYTES, NotOursError
from tests.store.values import MANY, check, disk_bytes, items, key, value


def flip(path: Path, place: int) -> None:
    """Change a bit of a file."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))


def cut(path: Path, numbers: random.Random) -> None:
    """Cut a file off anywhere."""
    os.truncate(path, numbers.randrange(path.stat().st_size + 1))


def bits(path: Path, numbers: random.Random) -> None:
    """Change a few bits anywhere."""
    for _ in range(numbers.randrange(1, 6)):
        flip(path, numbers.randrange(path.stat().st_size))


def block(path: Path, numbers: random.Random) -> None:
    """Write noise, zeros or another part of the file over a part of it."""
    size = path.stat().st_size
    length = numbers.randrange(1, 3 * PAGE_BYTES)
    content = path.read_bytes()
    start = numbers.randrange(size)
    what = [
        numbers.randbytes(length),
        bytes(length),
        content[start : start + length],
    ][numbers.randrange(3)]
    with path.open("r+b") as file:
        file.seek(numbers.randrange(size))
        file.write(what)


def head(path: Path, numbers: random.Random) -> None:
    """Write noise over a part of the header."""
    with path.open("r+b") as file:
        file.seek(numbers.randrange(100))
        file.write(numbers.randbytes(numbers.randrange(1, 40)))


def swapped(path: Path, numbers: random.Random) -> None:
    """Let two values change their places, as a page of an index that is damaged might."""
    file = sqlite3.connect(path)
    file.execute("UPDATE entries SET id = -1 WHERE id = (SELECT min(id) FROM entries)")
    file.execute("UPDATE entries SET id = 1 WHERE id = 2")
    file.execute("UPDATE entries SET id = 2 WHERE id = -1")
    file.commit()
    file.close()


DAMAGES: list[Callable[[Path, random.Random], None]] = [cut, bits, block, head, swapped]


def damaged_store(folder: Path, damage: Callable[[Path, random.Random], None], seed: int) -> None:
    """Damage a store while one process has it open, then use it from there and anew."""
    numbers = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    store = DiskStore(folder, MANY)
    store.write(items(range(10)))
    store.write(items(range(40, 44), size=500))
    damage(folder / FILE_NAME, numbers)
    for again in (store, None):
        if again is None:
            try:
                again = DiskStore(folder, MANY)
            except NotOursError:  # of whose header nothing says that it is ours
                return
        check(again, 10)
        small = again.read([key(n) for n in range(40, 44)])
        assert all(data == value(n, 500) for n in range(40, 44) if (data := small.get(key(n))))
        again.has([key(n) for n in range(20)])
        again.write(items(range(15, 25)))
        assert disk_bytes(folder) <= MANY
        check(again)
        # Who asks for numbers is told what reading and writing bear: `stats` says what it raises.
        with suppress(NotOursError, OSError):
            assert again.stats().misses >= 0
    store.close()
