"""The SQLite file of a store: how it is opened, whose it is, and how it is begun anew.

What is here knows nothing of entries but their tables. `attnmass.store.disk` says what they mean.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from typing import Final, TypeVar

from attnmass.store.forks import Guarded

APPLICATION: Final = 0x61746D73  # "atms", where an SQLite file says which program it belongs to
VERSION: Final = 1  # of the tables; a change of what callers keep in them is a change of their keys
PAGE_BYTES: Final = 8192  # 2% of a 43 KB value are lost; larger pages lose more of small ones

# Values are apart from what is said of them: to note a use, or to find the oldest, reads no value.
_TABLES: Final = (
    b"CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, "
    b"size INTEGER NOT NULL, tokens INTEGER NOT NULL, checksum INTEGER NOT NULL, "
    b"used INTEGER NOT NULL)",
    b"CREATE INDEX entries_by_use ON entries (used)",
    b"CREATE TABLE data (id INTEGER PRIMARY KEY, value BLOB NOT NULL)",
)
_HEADER_BYTES = 100  # of an SQLite file
_MAGIC = b"SQLite format 3\0"
_APPLICATION_AT = slice(68, 72)
_SIDE_FILES = ("-journal", "-wal", "-shm")

_logger = getLogger(__name__)

Result = TypeVar("Result")


class NotOursError(ValueError):
    """What is under the file's name is not a store that this version can use; it is left alone."""


class DamagedError(sqlite3.DatabaseError):
    """The file says that it is a store, and what is in it is not what a store has."""


class Database(Guarded):
    """One connection to the file, for one thread at a time; others wait for it.

    A rollback journal, not a write-ahead log: the log needs a file that is mapped into memory, and
    whoever cuts off a mapped file ends the processes that read it (SIGBUS). Here nothing is mapped.

    No transaction is open while the process forks, and the child opens a connection of its own.

    Attributes:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        """Say where the file is; it is opened when it is needed.

        Args:
            path: Of the file. Its folder is made when something is first written.
        """
        super().__init__()
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # device and inode of what is open
        self._patience = -1.0

    @property
    def disk_bytes(self) -> int:
        """What the file takes on the disk, with what SQLite puts beside it."""
        total = 0
        for path in (self.path, *_beside(self.path)):
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def run(
        self,
        task: Callable[[sqlite3.Connection], Result],
        *,
        write: bool,
        patience: float,
    ) -> Result | None:
        """Do something in a transaction; where the file is damaged, it is begun anew.

        Args:
            task: What to do. It may be done twice.
            write: Whether it writes. If so the file is made where it is missing.
            patience: Seconds to wait for other processes.

        Returns:
            What `task` returns; `None` where there is no file, or what was read of it is damaged.

        Raises:
            NotOursError: If the file belongs to something else, or to another version.
            sqlite3.Error: If the file cannot be used: it is locked, or the disk is full.
            OSError: If its folder cannot be made.
        """
        with self.lock:
            try:
                return self._run(task, write, patience)
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
            # Another process may have begun it anew, and filled it, since it was opened here.
            self._drop()
            try:
                return self._run(task, write, patience)
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
                _logger.warning("%s is damaged and is begun anew: %s", self.path, error)
                self._empty()
                return self._run(task, write, patience) if write else None

    def empty(self, *, patience: float) -> None:
        """Forget all that is in the file, which takes no room then.

        Raises:
            NotOursError: If it belongs to something else, or to another version.
            sqlite3.Error: If it cannot be used.
        """
        with self.lock:
            if self.run(lambda _: True, write=False, patience=patience):
                self._empty()

    def close(self) -> None:
        """Close the connection; a later call opens one again."""
        with self.lock:
            self._drop()

    def _run(
        self, task: Callable[[sqlite3.Connection], Result], write: bool, patience: float
    ) -> Result | None:
        connection = self._open(write, patience)
        if connection is None:
            return None
        try:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            result = task(connection)
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return result

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or not connection.in_transaction:
            return
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:  # SQLite does it when the file is opened next
            self._drop()

    def _open(self, write: bool, patience: float) -> sqlite3.Connection | None:
        """The connection, or `None` where there is nothing to read yet."""
        if self._connection is not None:
            there = _identity(self.path)
            if there == self._file:
                self._wait_for(self._connection, patience)
                return self._connection
            if there is None:
                _logger.warning("%s was removed, and what it kept with it", self.path)
            self._drop()
        check_kind(self.path)
        size = _size(self.path)
        if size and size < _HEADER_BYTES:  # of which SQLite may take a byte for nothing
            if not self._says_it_is_ours():
                raise NotOursError(_not_ours(self.path))
            raise DamagedError("it was cut off")
        if not size and not write:
            return None
        if write:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._patience = -1.0
        # Closed by whoever holds this object, perhaps in another thread.
        connection = sqlite3.connect(
            self.path.absolute(), isolation_level=None, check_same_thread=False
        )
        try:
            if size is None:
                with suppress(OSError):  # a file system without owners
                    self.path.chmod(0o600)  # nothing is in it yet; what is put beside it follows
            self._wait_for(connection, patience)
            _configure(connection)
            if not _is_made(connection, write):
                connection.close()
                return None
            _check_ours(connection, self.path)
        except BaseException as error:
            connection.close()
            if isinstance(error, DamagedError) or not _is_damage(error):
                raise
            if not self._says_it_is_ours():
                raise NotOursError(_not_ours(self.path)) from error
            raise
        self._connection, self._file = connection, _identity(self.path)
        return connection

    def _wait_for(self, connection: sqlite3.Connection, patience: float) -> None:
        if patience != self._patience:
            connection.execute(f"PRAGMA busy_timeout = {round(1000 * patience)}")
            self._patience = patience

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _empty(self) -> None:
        """Cut the file to nothing, which SQLite takes for a new one.

        It is not removed: a process that has it open would go on writing beside its successor, and
        a journal of the one would be played into the other.
        """
        self._drop()
        connection = sqlite3.connect(self.path.absolute(), isolation_level=None)
        try:
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
            # Nobody reads or writes now, or nobody can.
            os.truncate(self.path, 0)
        finally:
            connection.close()

    def _says_it_is_ours(self) -> bool:
        """Whether a file that SQLite cannot read was a store, by what is left of its header.

        Only for such a file: to close it here drops the locks that this process has on it.
        """
        try:
            with self.path.open("rb") as file:
                header = file.read(_HEADER_BYTES)
        except OSError:
            return False
        mark = APPLICATION.to_bytes(4, "big")
        if len(header) < _HEADER_BYTES:
            return _MAGIC.startswith(header[: len(_MAGIC)])
        return header[_APPLICATION_AT] == mark or not header.strip(b"\0")

    def forget_parent(self) -> None:
        """In a child process: leave the parent's connection to the parent."""
        super().forget_parent()
        if self._connection is not None:
            _inherited.append(self._connection)
        self._connection = None


def check_kind(path: Path) -> None:
    """Make sure that a file can be opened under this name, and those beside it.

    Raises:
        NotOursError: If there is something else: SQLite would wait for ever to read a FIFO.
    """
    for name in (path, *_beside(path)):
        try:
            mode = name.stat().st_mode
        except OSError:
            continue
        if not stat.S_ISREG(mode):
            raise NotOursError(f"{name} is not a file but {_kind(mode)}: remove it")
    if any(name.exists() for name in _beside(path)[1:]):
        raise NotOursError(
            f"another program has {path} open with a write-ahead log: close it there, or name "
            "another folder"
        )


def _configure(connection: sqlite3.Connection) -> None:
    connection.text_factory = bytes  # damaged text may be none
    for setting in (
        "mmap_size = 0",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "secure_delete = OFF",  # the folder is protected, and zeros would be written twice
        "synchronous = NORMAL",
        f"page_size = {PAGE_BYTES}",  # counts in a new file only
    ):
        connection.execute(f"PRAGMA {setting}")
    (mode,) = connection.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
    if mode not in (b"truncate", "truncate"):
        raise sqlite3.OperationalError(f"the journal is {mode!r}, not truncated")


def _is_made(connection: sqlite3.Connection, write: bool) -> bool:
    """Whether the file has tables; they are made if something is to be written."""
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


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    if number(connection, "application_id") != APPLICATION:
        raise NotOursError(_not_ours(path))
    version = number(connection, "user_version")
    if version != VERSION:
        raise NotOursError(
            f"{path} is a store in version {version}, and this attnmass reads version {VERSION}: "
            "name another folder, or remove the file"
        )
    try:
        found = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql}
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise
        raise DamagedError(str(error)) from error
    if found != set(_TABLES):
        raise DamagedError("the tables of the store are not there")


def number(connection: sqlite3.Connection, name: str) -> int:
    """A setting, or a count of pages, of an open file."""
    row = connection.execute(f"PRAGMA {name}").fetchone()
    return int(row[0])


def _is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file is not what was written."""
    # Exactly this class: its subclasses stand for locks, full disks and the like.
    if type(error) in (sqlite3.DatabaseError, DamagedError, sqlite3.IntegrityError):
        return True
    # Emptied, or overwritten, since it was opened.
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith("no such ")


def _not_ours(path: Path) -> str:
    return f"{path} is not a store of attnmass: name another folder, or move the file away"


def _beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in _SIDE_FILES]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _size(path: Path) -> int | None:
    """Bytes of a file, or `None` where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")


_inherited: list[sqlite3.Connection] = []  # from the parent: not even to be closed
