"""What is done in a transaction with the entries of a store's file.

Each value has a CRC-32 over its key, its length and its data. That guards against accidents: half a
page from before a power failure, a flipped bit, a block that another program wrote. A digest
against forgery would take longer than the reading, and would not help: whoever can write the file
can write the digest. So callers check what they decode.
"""

from __future__ import annotations

import sqlite3
import struct
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from attnmass.store.entry import Entry
from attnmass.store.tables import PAGE_BYTES, DamagedError, number

_AT_ONCE = 500  # keys in a statement; old builds of SQLite allow 999
LARGEST_VALUE: Final = 1_000_000_000 - PAGE_BYTES  # what SQLite allows
_LARGEST_NUMBER = 2**63 - 1
_TABLE_PAGES = 6  # of a file without entries
_PAGES_OF_A_MAP = 1000  # at least this many share one page that says what they are
# Pages to leave free for tables that grow: at first, and where that was too little.
SPLIT_PAGES: Final = (8, 64)
_LINK_BYTES = 4  # of each page that a value continues on
_ABOUT = 0  # the row of `data` that says what the values are; those of values begin at 1
LARGEST_ABOUT: Final = (
    4096  # bytes: on one page with its neighbours, so that it takes no page of its own
)
SMALLEST_LIMIT: Final = (_TABLE_PAGES + SPLIT_PAGES[0] + 2) * PAGE_BYTES  # 128 KiB
_CHECKSUM = struct.Struct("<I")


def fetch(
    keys: Collection[bytes], connection: sqlite3.Connection
) -> tuple[dict[bytes, bytes], list[bytes]]:
    """The values that are intact, by key, and the keys of those that are not."""
    whole: dict[bytes, bytes] = {}
    damaged: list[bytes] = []
    rows = connection.execute(
        "SELECT e.key, e.size, e.tokens, e.checksum, d.value FROM entries e "
        f"LEFT JOIN data d ON d.id = e.id WHERE e.key IN ({_marks(keys)})",
        list(keys),
    )
    for key, size, tokens, said, value in rows:
        is_whole = (
            isinstance(value, bytes)
            and isinstance(tokens, int)
            and size == len(value)
            and said == checksum(key, value, tokens)
        )
        if is_whole:
            whole[key] = value
        else:
            damaged.append(key)
    return whole, damaged


def tokens(after: int, connection: sqlite3.Connection) -> list[tuple[int, bytes, int]]:
    """The next rows after one: their numbers, keys, and how many tokens their values stand for."""
    rows = connection.execute(
        f"SELECT id, key, tokens FROM entries WHERE id > ? ORDER BY id LIMIT {_AT_ONCE}", (after,)
    )
    return [(_whole(row), key, _whole(count)) for row, key, count in rows]


def about(connection: sqlite3.Connection) -> bytes | None:
    """What is said about the values; `None` where nothing is, or it is damaged."""
    row = connection.execute("SELECT value FROM data WHERE id = ?", (_ABOUT,)).fetchone()
    value = row[0] if row is not None else None
    if not isinstance(value, bytes) or len(value) < _CHECKSUM.size:
        return None
    said = value[_CHECKSUM.size :]
    return said if value[: _CHECKSUM.size] == _CHECKSUM.pack(zlib.crc32(said)) else None


def tell(
    change: Callable[[bytes | None], bytes], limit: int | None, connection: sqlite3.Connection
) -> int:
    """Write what is said about the values; returns how many of them were evicted."""
    said = change(about(connection))
    if len(said) > LARGEST_ABOUT:
        raise ValueError(f"at most {LARGEST_ABOUT} bytes are said of a store, not {len(said)}")
    evicted = 0
    if limit is not None:  # the page that holds it may have to be split
        evicted = _make_room(_pages(len(said)), limit // PAGE_BYTES, connection)
    connection.execute(
        "INSERT OR REPLACE INTO data (id, value) VALUES (?, ?)",
        (_ABOUT, _CHECKSUM.pack(zlib.crc32(said)) + said),
    )
    return evicted


def find(keys: Collection[bytes], connection: sqlite3.Connection) -> list[bytes]:
    """The keys that there are values for."""
    rows = connection.execute(f"SELECT key FROM entries WHERE key IN ({_marks(keys)})", list(keys))
    return [key for (key,) in rows]


def write(
    items: Mapping[bytes, Entry],
    uses: Iterable[bytes],
    bound: int | None,
    spare: int,
    connection: sqlite3.Connection,
) -> int:
    """Keep values; returns how many others were evicted.

    Args:
        items: By key.
        uses: Keys of values that were read, in that order.
        bound: Most pages of the file.
        spare: Pages to leave free besides those that values take.
        connection: In a transaction.
    """
    note_uses(uses, connection)
    delete(items, connection)
    evicted = 0
    if bound is not None:
        excess = number(connection, "page_count") - bound
        if excess > 0:  # the bound used to be higher
            evicted += _make_room(0, bound, connection)
            for _ in range(excess):  # a page at a time: sqlite3 takes one step of it
                connection.execute("PRAGMA incremental_vacuum(1)")
        connection.execute(f"PRAGMA max_page_count = {bound}")  # whatever is miscalculated here
    used = _next_use(connection)
    for place, (key, entry) in enumerate(items.items()):
        size = len(entry.data)
        if bound is not None:
            evicted += _make_room(_pages(size) + spare, bound, connection)
        summed = checksum(key, entry.data, entry.tokens)
        made = connection.execute(
            "INSERT INTO entries (key, size, tokens, checksum, used) VALUES (?, ?, ?, ?, ?)",
            (key, size, entry.tokens, summed, min(used + place, _LARGEST_NUMBER)),
        )
        connection.execute(
            "INSERT OR REPLACE INTO data (id, value) VALUES (?, ?)", (made.lastrowid, entry.data)
        )
    return evicted


def _make_room(pages: int, bound: int, connection: sqlite3.Connection) -> int:
    """Remove the least recently used values until pages are free; returns how many were removed."""
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
            return evicted  # as many as there can be
        for row, size in oldest:
            connection.execute("DELETE FROM entries WHERE id = ?", (row,))
            connection.execute("DELETE FROM data WHERE id = ?", (row,))
            evicted += 1
            missing -= _pages(_whole(size)) - 1  # the other one is shared with neighbours
            if missing <= 0:
                break


def delete(keys: Iterable[bytes], connection: sqlite3.Connection) -> None:
    """Remove values, where they exist."""
    for part in parts(list(keys)):
        rows = connection.execute(
            f"SELECT id FROM entries WHERE key IN ({_marks(part)})", part
        ).fetchall()
        connection.executemany("DELETE FROM data WHERE id = ?", rows)
        connection.executemany("DELETE FROM entries WHERE id = ?", rows)


def note_uses(keys: Iterable[bytes], connection: sqlite3.Connection) -> None:
    """Note that values were used, the latest last."""
    first = _next_use(connection)
    connection.executemany(
        "UPDATE entries SET used = ? WHERE key = ?",
        ((min(first + place, _LARGEST_NUMBER), key) for place, key in enumerate(keys)),
    )


def _next_use(connection: sqlite3.Connection) -> int:
    """Nanoseconds since 1970, but later than all that was noted, whatever other clocks say."""
    (last,) = connection.execute("SELECT max(used) FROM entries").fetchone()
    return max(time.time_ns(), last + 1 if isinstance(last, int) else 0)


def sums(connection: sqlite3.Connection) -> tuple[int, int, int, int]:
    """How many values there are, their tokens, their bytes, and when one was last used."""
    row = connection.execute(
        "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(size), 0), "
        "coalesce(max(used), 0) FROM entries"
    ).fetchone()
    entries, tokens, size, last = map(_whole, row)
    return entries, tokens, size, last


def checksum(key: bytes, data: bytes, tokens: int) -> int:
    """What tells a value as it was written from a damaged one, or one that is not its key's."""
    about = struct.pack("<QQq", len(key), len(data), tokens) + key
    return zlib.crc32(data, zlib.crc32(about))


def _whole(found: object) -> int:
    """A number from a row that may be damaged."""
    return found if isinstance(found, int) and found > 0 else 0


def _pages(size: int) -> int:
    """The most pages that a value takes: those that it fills, and parts of two."""
    return size // (PAGE_BYTES - _LINK_BYTES) + 2


def fewest_pages(size: int) -> int:
    """Pages of a file that has only one value."""
    return _TABLE_PAGES + SPLIT_PAGES[0] + _pages(size)


def _marks(keys: Collection[bytes]) -> str:
    return ", ".join("?" * len(keys))


def parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Keys in groups, each as many as one statement takes."""
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
