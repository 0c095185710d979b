"""What is written into an object store, and what may go wrong there."""

from __future__ import annotations

import time

from attnmass.store.entry import Entry
from attnmass.store.objects import ObjectStore

ITEMS = {f"key-{n}": Entry(bytes([n % 256]) * 100, n) for n in range(300)}
ROOT = "memory://bucket/chunks"


class Faults:
    """What goes wrong in a file system.

    Attributes:
        error: What every call raises.
        seconds: How long every call takes.
        asked: Which calls there were.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.seconds = 0.0
        self.asked: list[str] = []

    def happen(self, what: str) -> None:
        """Do what is set."""
        self.asked.append(what)
        time.sleep(self.seconds)
        if self.error is not None:
            raise self.error


def written(items: dict[str, Entry] = ITEMS, url: str = ROOT, n_files: int = 1) -> list[str]:
    """Write values; the names of the files."""
    store = ObjectStore(url)
    keys = list(items)
    for number in range(n_files):
        store.add({key: items[key] for key in keys[number::n_files]})
    return list(store._packs)
