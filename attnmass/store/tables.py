"""What a store has in its SQLite file: its tables, and the marks by which it is recognised."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

APPLICATION: Final = 0x61746D73  # "atms", where an SQLite file says which program it belongs to
VERSION: Final = 1  # of the tables; a change in what callers keep in them is a change of their keys
PAGE_BYTES: Final = 8192  # 2% of a 43 KB value is wasted; larger pages waste more of small ones

# Values are separate from what is said about them: noting a use, or finding the oldest, reads no
# value.
_TABLES: Final = (
    b"CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, "
    b"size INTEGER NOT NULL, tokens INTEGER NOT NULL, checksum INTEGER NOT NULL, "
    b"used INTEGER NOT NULL)",
    b"CREATE INDEX entries_by_use ON entries (used)",
    b"CREATE TABLE data (id INTEGER PRIMARY KEY, value BLOB NOT NULL)",
)


class NotOursError(ValueError):
    """What is under the file's name is not a store that this version can use; it is left alone."""


class DamagedError(sqlite3.DatabaseError):
    """The file says that it is a store, but what is in it is not what a store has."""


def configure(connection: sqlite3.Connection) -> None:
    """Set what SQLite does with an opened file.

    Raises:
        sqlite3.Error: If that fails, as where the file is locked.
    """
    connection.text_factory = bytes  # damaged text may not be text
    for setting in (
        "mmap_size = 0",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "secure_delete = OFF",  # the folder is protected, and zeros would be written twice
        "synchronous = NORMAL",
        f"page_size = {PAGE_BYTES}",  # only matters in a new file
    ):
        connection.execute(f"PRAGMA {setting}")
    (mode,) = connection.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
    if mode not in (b"truncate", "truncate"):
        raise sqlite3.OperationalError(f"the journal is {mode!r}, not truncated")


def is_made(connection: sqlite3.Connection, write: bool) -> bool:
    """Whether the file has tables; they are created if something is to be written."""
    if number(connection, "page_count"):
        return True
    if not write:
        return False
    connection.execute("BEGIN")
    try:
        # Writes, so that from here on others wait; it has no effect once there are tables.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():  # nobody was quicker
            for table in _TABLES:
                connection.execute(table.decode())
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    return True


def check_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Make sure that an open file is a store of this version.

    Raises:
        NotOursError: If it belongs to something else, or to another version.
        DamagedError: If it says that it is a store, but has other tables.
    """
    if number(connection, "application_id") != APPLICATION:
        raise NotOursError(not_ours(path))
    version = number(connection, "user_version")
    if version != VERSION:
        raise NotOursError(
            f"{path} is a store in version {version}, and this attnmass reads version {VERSION}: "
            "name another folder, or remove the file"
        )
    try:
        found = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql}
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        raise DamagedError(str(error)) from error
    if found != set(_TABLES):
        raise DamagedError("the tables of the store are not there")


def number(connection: sqlite3.Connection, name: str) -> int:
    """A setting, or a count of pages, of an open file."""
    row = connection.execute(f"PRAGMA {name}").fetchone()
    return int(row[0])


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file is not what was written."""
    # Exactly this class: its subclasses stand for locks, full disks and the like.
    if type(error) in (sqlite3.DatabaseError, DamagedError, sqlite3.IntegrityError):
        return True
    # Emptied, or overwritten, since it was opened.
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith("no such ")


def not_ours(path: Path) -> str:
    """What is said about a file that belongs to something else."""
    return f"{path} is not a store of attnmass: name another folder, or move the file away"
