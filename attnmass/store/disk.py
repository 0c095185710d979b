"""Values on disk, by key: one SQLite file that processes share, bounded to the byte.

Why SQLite: it comes with Python, and threads, processes, kills and full disks are what it was made
for and is tested with. LMDB would read a little faster, but from memory that is mapped from the
file: there a value may change after its checksum was compared, and a file that somebody truncates
ends the process that reads it (SIGBUS). Files of our own, one for each value, had to be listed to
find the oldest, and are what this replaces. SQLite copies what it reads; thousands of values come
at some GB/s, which is not what a query waits for.

What is done inside a transaction is in `attnmass.store.statements`.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Final, TypeVar

from attnmass.store import statements
from attnmass.store.database import Database
from attnmass.store.entry import Entry, StoreStats
from attnmass.store.files import has_old_format
from attnmass.store.tables import PAGE_BYTES, VERSION, NotOursError
from attnmass.store.trouble import Trouble
from attnmass.store.uses import SHORT_PATIENCE, Uses

Result = TypeVar("Result")

FILE_NAME: Final = "store.sqlite3"

_logger = getLogger(__name__)

_PATIENCE = 5.0  # seconds to wait for other processes, which need them for large transactions only


class DiskStore:
    """Values by key in a folder, the least recently used of which go first.

    Threads may share a store, and processes the folder, if its file system has locks that work: not
    every network's has. A store that is copied or pickled opens the file again, as does a child
    process.

    Trouble never reaches whoever reads or writes. What cannot be read is a miss, what cannot be
    written is not kept, and a warning is logged once: about a folder that cannot be written, a full
    disk, a lock that another process holds. A damaged value is a miss and is removed. A damaged
    file is emptied if it says that it is a store, and left alone if it does not.

    A kill at any point leaves the values as they were before a `write` or after it. A power failure
    may lose the last ones.

    When `write` returns, the file and all that SQLite puts beside it take at most the bound, unless
    another process is writing. During a write a journal comes beside the file, of about the size of
    what is evicted; it stays until the next use where the process is killed.

    Attributes:
        folder: Where the file is.
        hits: How many values were found since the store was built.
        misses: How many were not.
        evictions: How many this store removed to make room.
        too_large: How many were not kept because they are larger than the bound.
    """

    def __init__(self, folder: Path, limit: int | None, patience: float = _PATIENCE) -> None:
        """Use a folder, which is created when something is first written, for its owner only.

        Args:
            folder: Where the file is, or will be.
            limit: Most bytes on the disk; `None` for no bound. Below `SMALLEST_LIMIT` nothing is
                kept.
            patience: Seconds to wait for other processes.

        Raises:
            ValueError: If what is under the file's name is not a file, belongs to another program,
                or was written by another version. It is left alone.
        """
        folder = folder.absolute()  # the same even if the process changes its folder
        self.folder = folder
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self.too_large = 0
        self._limit = limit
        self._patience = patience
        self._database = Database(folder / FILE_NAME)
        self._uses = Uses(self._database)
        self._trouble = Trouble(self._database.path)
        with suppress(sqlite3.Error, OSError):  # reported when it is used
            self._database.run(lambda _: None, write=False, patience=SHORT_PATIENCE)
        if has_old_format(folder):
            _logger.warning(
                "%s has files of the chunk cache of an earlier version: they are left alone, and "
                "may be removed",
                folder,
            )
        weakref.finalize(self, self._uses.end)

    def __reduce__(self) -> tuple[type[DiskStore], tuple[Path, int | None, float]]:
        """Connections and locks stay behind."""
        return DiskStore, (self.folder, self._limit, self._patience)

    @property
    def limit(self) -> int | None:
        """Most bytes on the disk; `None` for no bound."""
        return self._limit

    @property
    def trouble(self) -> str | None:
        """Why the file could not be used the last time that it could not."""
        return self._trouble.latest

    @property
    def disk_bytes(self) -> int:
        """Bytes that the files take on the disk now, whoever wrote them."""
        return self._database.disk_bytes

    def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values that are there and intact, by key; they count as used.

        Args:
            keys: Any strings. Many at once are faster than one after the other.
        """
        names = {_encoded(key): key for key in keys}
        found: dict[bytes, bytes] = {}
        damaged: list[bytes] = []
        with self._database.lock:
            for whole, broken in self._in_parts(statements.fetch, names):
                found |= whole
                damaged += broken
            self.hits += len(found)
            self.misses += len(names) - len(found)
            if damaged:
                self._remove(damaged)
            self._uses.add(found)
        return {names[key]: value for key, value in found.items()}

    def has(self, keys: Sequence[str]) -> set[str]:
        """Which values are there, without reading them; they count as used."""
        names = {_encoded(key): key for key in keys}
        found: list[bytes] = []
        with self._database.lock:
            for there in self._in_parts(statements.find, names):
                found += there
            self._uses.add(found)
        return {names[key] for key in found if key in names}

    def write(self, items: Mapping[str, Entry]) -> None:
        """Keep values, all or none of them; what is larger than the bound is not kept.

        Args:
            items: By key. What is already there under a key is replaced.
        """
        limit = self._limit
        bound = None if limit is None else limit // PAGE_BYTES
        kept = {
            _encoded(key): entry
            for key, entry in items.items()
            if len(entry.data) <= statements.LARGEST_VALUE
            and (bound is None or statements.fewest_pages(len(entry.data)) <= bound)
        }
        with self._database.lock:
            self.too_large += len(items) - len(kept)
        if not kept:
            return
        with self._database.lock, self._trouble.logged():
            if self._trouble.is_resting:
                return
            for spare in statements.SPLIT_PAGES:
                task = partial(statements.write, kept, self._uses.keys, bound, spare)
                try:
                    evicted = self._run(task, write=True)
                except sqlite3.OperationalError as error:
                    if not _is_full(error) or bound is None or spare == statements.SPLIT_PAGES[-1]:
                        raise
                else:
                    self.evictions += evicted or 0
                    self._uses.noted()
                    return

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Keys and tokens of all values, which may come and go meanwhile; raises as `about`."""
        after = 0
        while True:
            with self._database.lock, self._trouble.as_os_errors():
                task = partial(statements.tokens, after)
                rows = self._run(task)
            for row, key, tokens in rows or ():
                after = max(after + 1, row)
                yield key.decode("utf-8", "surrogatepass"), tokens
            if not rows:
                return

    def about(self) -> bytes | None:
        """What `tell` said about the values; `None` where nothing was said, or it is damaged.

        Raises:
            OSError: If the store cannot be used.
            ValueError: As in the constructor.
        """
        with self._database.lock, self._trouble.as_os_errors():
            return self._run(statements.about)

    def tell(self, change: Callable[[bytes | None], bytes]) -> None:
        """Say something about the values that stays beside them until the store is cleared.

        Args:
            change: Gets what was said before, and gives what is said from now on, in at most 4 KiB.
                It may be called twice.

        Raises:
            OSError: If the store cannot be used.
            ValueError: As in the constructor, or if it is longer.
        """
        with self._database.lock, self._trouble.as_os_errors():
            task = partial(statements.tell, change, self._limit)
            self.evictions += self._run(task, write=True) or 0

    def clear(self) -> None:
        """Remove all values, whoever wrote them.

        Raises:
            OSError: If the store cannot be used.
            ValueError: As in the constructor.
        """
        with self._database.lock, self._trouble.as_os_errors():
            self._database.empty(patience=self._patience)
            self._uses.noted()

    def stats(self) -> StoreStats:
        """What the store holds and has done. It reads a line for each value, and no value.

        Raises:
            OSError: If the store cannot be used.
            ValueError: As in the constructor.
        """
        entries = tokens = value_bytes = last = 0
        with self._database.lock, self._trouble.as_os_errors():
            found = self._run(statements.sums)
            if found is not None:
                entries, tokens, value_bytes, last = found
        return StoreStats(
            entries=entries,
            tokens=tokens,
            disk_bytes=self.disk_bytes,
            value_bytes=value_bytes,
            last_used=last / 1e9 if entries else None,
            version=VERSION,
            hits=self.hits,
            misses=self.misses,
            evictions=self.evictions,
        )

    def close(self) -> None:
        """Note what was used, and close the file; a later call opens it again."""
        self._uses.end()

    def _run(
        self, task: Callable[[sqlite3.Connection], Result], *, write: bool = False
    ) -> Result | None:
        return self._database.run(task, write=write, patience=self._patience)

    def _in_parts(
        self, task: Callable[[Sequence[bytes], sqlite3.Connection], Result], names: Iterable[bytes]
    ) -> Iterator[Result]:
        """What is found for some of the names at a time; nothing more once there is trouble."""
        for part in statements.parts(list(names)):
            found = None
            with self._trouble.logged():
                if self._trouble.is_resting:
                    return
                found = self._run(partial(task, part))
            if found is not None:
                yield found

    def _remove(self, damaged: Sequence[bytes]) -> None:
        _logger.warning(
            "%d damaged values were removed from the store: %s", len(damaged), self._database.path
        )
        with suppress(sqlite3.Error, OSError, NotOursError):  # such as a read-only one
            self._run(partial(statements.delete, damaged), write=True)


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _is_full(error: Exception) -> bool:
    return "full" in str(error)
