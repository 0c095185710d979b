"""Values on disk, by key: one SQLite file that processes share, bounded to the byte.

Why SQLite: it comes with Python, and threads, processes, kills and full disks are what it was made
for and is tested with. LMDB would read a little faster, but out of memory that is mapped from the
file: there a value may change after its checksum was compared, and a file that somebody cuts off
ends the process that reads it (SIGBUS). Files of our own, one for each value, had to be listed to
find the oldest, and were what this replaces. SQLite copies what it reads; thousands of values come
at some GB/s, which is not what a query waits for.

Each value has a CRC-32 over its key, its length and its data. That is against accidents: half a
page from before a power failure, a bit that fell, a block that another program wrote. A digest
against forgery would take longer than the reading, and would not help: whoever can write the file
can write the digest. So callers check what they decode.
"""

from __future__ import annotations

import os
import re
import sqlite3
import struct
import time
import weakref
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Final

from attnmass.store.database import Database
from attnmass.store.tables import PAGE_BYTES, VERSION, DamagedError, NotOursError, number

FILE_NAME: Final = "store.sqlite3"

_logger = getLogger(__name__)

_AT_ONCE = 500  # keys in a statement; old builds of SQLite take 999
_PATIENCE = 5.0  # seconds to wait for other processes, which need them for large transactions only
_SHORT_PATIENCE = 0.2  # for what is worth no more, such as to note uses
_REST = 30.0  # seconds in which a store that was locked for so long is not asked again
_USES_EVERY = 60.0  # seconds after which uses are noted without anything to write
_LARGEST_VALUE = 1_000_000_000 - PAGE_BYTES  # what SQLite takes
_LARGEST_NUMBER = 2**63 - 1
_TABLE_PAGES = 6  # of a file without entries
_PAGES_OF_A_MAP = 1000  # there is a page for at least so many that says what they are
_SPLIT_PAGES = (8, 64)  # to leave free for tables that grow: first, and where that was too little
_LINK_BYTES = 4  # of each page that a value goes on in
_ABOUT = 0  # the row of `data` that says what the values are; those of values begin at 1
LARGEST_ABOUT: Final = (
    4096  # bytes: on one page with its neighbours, so that it takes none of its own
)
SMALLEST_LIMIT: Final = (_TABLE_PAGES + _SPLIT_PAGES[0] + 2) * PAGE_BYTES  # 128 KiB
_CHECKSUM = struct.Struct("<I")
_OLD_FORMAT = re.compile(r"[0-9a-f]{64}\.safetensors")


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
    """What a store holds, whoever wrote it, and what this object did.

    Attributes:
        entries: How many values there are.
        tokens: How many tokens they stand for.
        disk_bytes: What the files take on the disk.
        value_bytes: What the values alone would take.
        last_used: When a value was last written or read, in seconds since 1970; `None` if there is
            none. Reads are noted within a minute.
        version: Of the file's format.
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


class DiskStore:
    """Values by key in a folder, the least recently used of which go first.

    Threads may share a store, and processes the folder, if its file system has locks that work: not
    every network has. A store that is copied or pickled opens the file again, as does a child
    process.

    Trouble never reaches who reads or writes. What cannot be read is a miss, what cannot be written
    is not kept, and a warning is logged once: of a folder that cannot be written, a full disk, a
    lock that another process keeps. A damaged value is a miss and is removed. A damaged file is
    emptied, if it says that it is a store, and left alone if it does not.

    A kill at any point leaves the values as they were before a `write` or after it. A power failure
    may take the last ones.

    When `write` returns, the file and all that SQLite puts beside it take at most the bound, unless
    another process is writing. During a write a journal comes beside the file, of about the size of
    what is evicted; it stays until the next use where the process is killed.

    Attributes:
        folder: Where the file is.
        hits: How many values were found since the store was built.
        misses: How many were not.
        evictions: How many this store removed to make room.
        too_large: How many were not kept because they are larger than the bound.
        trouble: Why the file could not be used the last time that it could not.
    """

    def __init__(self, folder: Path, limit: int | None, patience: float = _PATIENCE) -> None:
        """Use a folder, which is made when something is first written, for its owner only.

        Args:
            folder: Where the file is, or will be.
            limit: Most bytes on the disk; `None` for no bound. Below `SMALLEST_LIMIT` nothing is
                kept.
            patience: Seconds to wait for other processes.

        Raises:
            ValueError: If what is under the file's name is no file, belongs to another program, or
                was written by another version. It is left alone.
        """
        folder = folder.absolute()  # the same wherever the process goes meanwhile
        self.folder = folder
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self.too_large = 0
        self.trouble: str | None = None
        self._limit = limit
        self._patience = patience
        self._resting_until = 0.0  # by the monotonic clock
        self._told: set[str] = set()
        self._database = Database(folder / FILE_NAME)
        self._uses = _Uses(self._database)
        with suppress(sqlite3.Error, OSError):  # told when it is used
            self._database.run(lambda _: None, write=False, patience=_SHORT_PATIENCE)
        if _has_old_format(folder):
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
    def disk_bytes(self) -> int:
        """What the files take on the disk now, whoever wrote them."""
        return self._database.disk_bytes

    def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values that are there and whole, by key; they count as used.

        Args:
            keys: Any strings. Many at once are faster than one after the other.
        """
        names = {_encoded(key): key for key in keys}
        found: dict[bytes, bytes] = {}
        damaged: list[bytes] = []
        with self._database.lock:
            for part in _parts(list(names)):
                with self._trouble():
                    if self._is_resting:
                        break
                    rows = self._database.run(
                        partial(_fetch, part), write=False, patience=self._patience
                    )
                    if rows is not None:
                        found |= rows[0]
                        damaged += rows[1]
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
            for part in _parts(list(names)):
                with self._trouble():
                    if self._is_resting:
                        break
                    found += (
                        self._database.run(
                            partial(_find, part), write=False, patience=self._patience
                        )
                        or []
                    )
            self._uses.add(found)
        return {names[key] for key in found if key in names}

    def write(self, items: Mapping[str, Entry]) -> None:
        """Keep values, all or none of them; what is larger than the bound is not kept.

        Args:
            items: By key. What is there under a key is replaced.
        """
        limit = self._limit
        bound = None if limit is None else limit // PAGE_BYTES
        kept = {
            _encoded(key): entry
            for key, entry in items.items()
            if len(entry.data) <= _LARGEST_VALUE
            and (bound is None or _fewest_pages(len(entry.data)) <= bound)
        }
        with self._database.lock:
            self.too_large += len(items) - len(kept)
        if not kept:
            return
        with self._database.lock, self._trouble():
            if self._is_resting:
                return
            for spare in _SPLIT_PAGES:
                task = partial(_write, kept, self._uses.keys, bound, spare)
                try:
                    evicted = self._database.run(task, write=True, patience=self._patience)
                except sqlite3.OperationalError as error:
                    if not _is_full(error) or bound is None or spare == _SPLIT_PAGES[-1]:
                        raise
                else:
                    self.evictions += evicted or 0
                    self._uses.noted()
                    return

    def about(self) -> bytes | None:
        """What `tell` said of the values; `None` where nothing was said, or it is damaged.

        Raises:
            OSError: If the store cannot be used.
            ValueError: As in the constructor.
        """
        with self._database.lock, self._as_os_errors():
            return self._database.run(_about, write=False, patience=self._patience)

    def tell(self, change: Callable[[bytes | None], bytes]) -> None:
        """Say something of the values that stays beside them, until the store is cleared.

        Args:
            change: Gets what was said before, and gives what is said from now on, in at most 4 KiB.
                It may be called twice.

        Raises:
            OSError: If the store cannot be used.
            ValueError: As in the constructor, or if it is longer.
        """
        with self._database.lock, self._as_os_errors():
            task = partial(_tell, change, self._limit)
            self.evictions += self._database.run(task, write=True, patience=self._patience) or 0

    def clear(self) -> None:
        """Remove all values, whoever wrote them.

        Raises:
            OSError: If the store cannot be used.
            ValueError: As in the constructor.
        """
        with self._database.lock, self._as_os_errors():
            self._database.empty(patience=self._patience)
            self._uses.noted()

    def stats(self) -> StoreStats:
        """What the store holds and did. It reads a line for each value, and no value.

        Raises:
            OSError: If the store cannot be used.
            ValueError: As in the constructor.
        """
        entries = tokens = value_bytes = last = 0
        with self._database.lock, self._as_os_errors():
            found = self._database.run(_sums, write=False, patience=self._patience)
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

    @property
    def _is_resting(self) -> bool:
        return time.monotonic() < self._resting_until

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Go on without the store where it cannot be used, and say so once."""
        try:
            with self._as_os_errors():
                yield
        except NotOursError as error:
            self._tell(str(error))
        except OSError as error:
            if _is_locked(error.__cause__):  # every call would wait as long
                self._resting_until = time.monotonic() + _REST
            self._tell(str(error))

    @contextmanager
    def _as_os_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OSError(f"the store {self._database.path} cannot be used: {error}") from error

    def _tell(self, what: str) -> None:
        """Log something once; there may be thousands of values."""
        self.trouble = what
        if what not in self._told:
            _logger.warning("%s", what)
        self._told.add(what)

    def _remove(self, damaged: Sequence[bytes]) -> None:
        _logger.warning(
            "%d damaged values of the store are removed: %s", len(damaged), self._database.path
        )
        with suppress(sqlite3.Error, OSError, NotOursError):  # one that can only be read
            self._database.run(partial(_delete, damaged), write=True, patience=self._patience)


class _Uses:
    """Which values were used since that was last noted in the file.

    It is noted with the next write, once a minute where there is none, and at the end.
    """

    def __init__(self, database: Database) -> None:
        self.keys: dict[bytes, None] = {}  # the latest last
        self._database = database
        self._since = time.monotonic()

    def add(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self.keys.pop(key, None)
            self.keys[key] = None
        if self.keys and time.monotonic() - self._since > _USES_EVERY:
            self._note()

    def noted(self) -> None:
        self.keys.clear()
        self._since = time.monotonic()

    def end(self) -> None:
        with self._database.lock:
            if self.keys:
                self._note()
            self._database.close()

    def _note(self) -> None:
        with suppress(sqlite3.Error, OSError, NotOursError):  # as in a folder of others
            self._database.run(partial(_note_uses, self.keys), write=True, patience=_SHORT_PATIENCE)
        self.noted()


def _fetch(
    keys: Collection[bytes], connection: sqlite3.Connection
) -> tuple[dict[bytes, bytes], list[bytes]]:
    """The values that are whole, by key, and the keys of those that are not."""
    whole: dict[bytes, bytes] = {}
    damaged: list[bytes] = []
    rows = connection.execute(
        "SELECT e.key, e.size, e.tokens, e.checksum, d.value FROM entries e "
        f"LEFT JOIN data d ON d.id = e.id WHERE e.key IN ({_marks(keys)})",
        list(keys),
    )
    for key, size, tokens, checksum, value in rows:
        is_whole = (
            isinstance(value, bytes)
            and isinstance(tokens, int)
            and size == len(value)
            and checksum == _checksum(key, value, tokens)
        )
        if is_whole:
            whole[key] = value
        else:
            damaged.append(key)
    return whole, damaged


def _about(connection: sqlite3.Connection) -> bytes | None:
    row = connection.execute("SELECT value FROM data WHERE id = ?", (_ABOUT,)).fetchone()
    value = row[0] if row is not None else None
    if not isinstance(value, bytes) or len(value) < _CHECKSUM.size:
        return None
    said = value[_CHECKSUM.size :]
    return said if value[: _CHECKSUM.size] == _CHECKSUM.pack(zlib.crc32(said)) else None


def _tell(
    change: Callable[[bytes | None], bytes], limit: int | None, connection: sqlite3.Connection
) -> int:
    """Write what is said of the values; how many of them had to go."""
    said = change(_about(connection))
    if len(said) > LARGEST_ABOUT:
        raise ValueError(f"at most {LARGEST_ABOUT} bytes are said of a store, not {len(said)}")
    evicted = 0
    if limit is not None:  # the page that has it may have to be split
        evicted = _make_room(_pages(len(said)), limit // PAGE_BYTES, connection)
    connection.execute(
        "INSERT OR REPLACE INTO data (id, value) VALUES (?, ?)",
        (_ABOUT, _CHECKSUM.pack(zlib.crc32(said)) + said),
    )
    return evicted


def _find(keys: Collection[bytes], connection: sqlite3.Connection) -> list[bytes]:
    rows = connection.execute(f"SELECT key FROM entries WHERE key IN ({_marks(keys)})", list(keys))
    return [key for (key,) in rows]


def _write(
    items: Mapping[bytes, Entry],
    uses: Iterable[bytes],
    bound: int | None,
    spare: int,
    connection: sqlite3.Connection,
) -> int:
    """Keep values; how many others had to go.

    Args:
        items: By key.
        uses: Keys of values that were read, in that order.
        bound: Most pages of the file.
        spare: Pages to leave free beside those that values take.
        connection: In a transaction.
    """
    _note_uses(uses, connection)
    _delete(items, connection)
    evicted = 0
    if bound is not None:
        excess = number(connection, "page_count") - bound
        if excess > 0:  # the bound was higher once
            evicted += _make_room(0, bound, connection)
            for _ in range(excess):  # a page at a time: sqlite3 takes one step of it
                connection.execute("PRAGMA incremental_vacuum(1)")
        connection.execute(f"PRAGMA max_page_count = {bound}")  # whatever is reckoned wrong here
    used = _next_use(connection)
    for place, (key, entry) in enumerate(items.items()):
        size = len(entry.data)
        if bound is not None:
            evicted += _make_room(_pages(size) + spare, bound, connection)
        checksum = _checksum(key, entry.data, entry.tokens)
        made = connection.execute(
            "INSERT INTO entries (key, size, tokens, checksum, used) VALUES (?, ?, ?, ?, ?)",
            (key, size, entry.tokens, checksum, min(used + place, _LARGEST_NUMBER)),
        )
        connection.execute(
            "INSERT OR REPLACE INTO data (id, value) VALUES (?, ?)", (made.lastrowid, entry.data)
        )
    return evicted


def _make_room(pages: int, bound: int, connection: sqlite3.Connection) -> int:
    """Remove the values that were not used for longest until pages are free; how many went."""
    evicted = 0
    while True:
        in_use = number(connection, "page_count") - number(connection, "freelist_count")
        missing = in_use + pages - bound
        if missing <= 0:
            return evicted
        oldest = connection.execute(
            "SELECT id, size FROM entries ORDER BY used LIMIT 64"
        ).fetchall()
        if not oldest:
            if in_use > _TABLE_PAGES + bound // _PAGES_OF_A_MAP:
                raise DamagedError("pages are taken by no value")
            return evicted  # as much as there can be
        for row, size in oldest:
            connection.execute("DELETE FROM entries WHERE id = ?", (row,))
            connection.execute("DELETE FROM data WHERE id = ?", (row,))
            evicted += 1
            missing -= _pages(_whole(size)) - 1  # the other one is shared with neighbours
            if missing <= 0:
                break


def _delete(keys: Iterable[bytes], connection: sqlite3.Connection) -> None:
    for part in _parts(list(keys)):
        rows = connection.execute(
            f"SELECT id FROM entries WHERE key IN ({_marks(part)})", part
        ).fetchall()
        connection.executemany("DELETE FROM data WHERE id = ?", rows)
        connection.executemany("DELETE FROM entries WHERE id = ?", rows)


def _note_uses(keys: Iterable[bytes], connection: sqlite3.Connection) -> None:
    first = _next_use(connection)
    connection.executemany(
        "UPDATE entries SET used = ? WHERE key = ?",
        ((min(first + place, _LARGEST_NUMBER), key) for place, key in enumerate(keys)),
    )


def _next_use(connection: sqlite3.Connection) -> int:
    """Nanoseconds since 1970, but after all that was noted, whatever other clocks say."""
    (last,) = connection.execute("SELECT max(used) FROM entries").fetchone()
    return max(time.time_ns(), last + 1 if isinstance(last, int) else 0)


def _sums(connection: sqlite3.Connection) -> tuple[int, int, int, int]:
    """How many values there are, their tokens, their bytes, and when one was last used."""
    row = connection.execute(
        "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(size), 0), "
        "coalesce(max(used), 0) FROM entries"
    ).fetchone()
    entries, tokens, size, last = map(_whole, row)
    return entries, tokens, size, last


def _checksum(key: bytes, data: bytes, tokens: int) -> int:
    about = struct.pack("<QQq", len(key), len(data), tokens) + key
    return zlib.crc32(data, zlib.crc32(about))


def _whole(found: object) -> int:
    """A number from a row that may be damaged."""
    return found if isinstance(found, int) and found > 0 else 0


def _pages(size: int) -> int:
    """At most so many pages does a value take: those that it fills, and parts of two."""
    return size // (PAGE_BYTES - _LINK_BYTES) + 2


def _fewest_pages(size: int) -> int:
    """Pages of a file that has one value only."""
    return _TABLE_PAGES + _SPLIT_PAGES[0] + _pages(size)


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _marks(keys: Collection[bytes]) -> str:
    return ", ".join("?" * len(keys))


def _parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]


def _is_locked(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _is_full(error: Exception) -> bool:
    return "full" in str(error)


def _has_old_format(folder: Path) -> bool:
    """Whether chunks were kept here as files of safetensors, as the first version did."""
    with suppress(OSError), os.scandir(folder) as found:
        return any(_OLD_FORMAT.fullmatch(item.name) for item in found)
    return False
