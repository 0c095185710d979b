"""The SQLite file of a store: how it is opened, and how it is started afresh.

This knows nothing about entries. `attnmass.store.disk` says what they mean.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from typing import TypeVar

from attnmass.store.files import (
    HEADER_BYTES,
    beside,
    check_kind,
    identity,
    says_it_is_ours,
    size_of,
)
from attnmass.store.forks import Guarded
from attnmass.store.tables import (
    DamagedError,
    NotOursError,
    check_ours,
    configure,
    is_damage,
    is_made,
    not_ours,
)

_logger = getLogger(__name__)

Result = TypeVar("Result")


class Database(Guarded):
    """One connection to the file, for one thread at a time; others wait for it.

    It uses a rollback journal, not a write-ahead log: the log needs a file that is mapped into
    memory, and truncating a mapped file ends the processes that read it (SIGBUS). Here nothing is
    mapped.

    No transaction is open while the process forks, and the child opens its own connection.

    Attributes:
        path: That of the file.
    """

    def __init__(self, path: Path) -> None:
        """Say where the file is; it is opened when it is needed.

        Args:
            path: That of the file. Its folder is created when something is first written.
        """
        super().__init__()
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # device and inode of the open file
        self._patience = -1.0

    @property
    def disk_bytes(self) -> int:
        """Bytes that the file takes on the disk, with what SQLite puts beside it."""
        total = 0
        for path in (self.path, *beside(self.path)):
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
        """Do something in a transaction; where the file is damaged, it is started afresh.

        Args:
            task: What to do. It may be done twice.
            write: Whether it writes. If so, the file is created where it is missing.
            patience: Seconds to wait for other processes.

        Returns:
            What `task` returns; `None` where there is no file, or what was read from it is damaged.

        Raises:
            NotOursError: If the file belongs to something else, or to another version.
            sqlite3.Error: If the file cannot be used: it is locked, or the disk is full.
            OSError: If its folder cannot be created.
        """
        with self.lock:
            try:
                return self._run(task, write, patience)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
            # Another process may have started it afresh, and filled it, since it was opened here.
            self._drop()
            try:
                return self._run(task, write, patience)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                _logger.warning("%s is damaged, and a new one is begun: %s", self.path, error)
                self._empty()
                return self._run(task, write, patience) if write else None

    def empty(self, *, patience: float) -> None:
        """Forget all that is in the file, which then takes no room.

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
            there = identity(self.path)
            if there == self._file:
                self._wait_for(self._connection, patience)
                return self._connection
            if there is None:
                _logger.warning("%s was removed, and what it kept with it", self.path)
            self._drop()
        check_kind(self.path)
        size = size_of(self.path)
        if size and size < HEADER_BYTES:  # a byte of which SQLite may take for nothing
            if not says_it_is_ours(self.path):
                raise NotOursError(not_ours(self.path))
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
                    self.path.chmod(0o600)  # it is still empty; files beside it follow
            self._wait_for(connection, patience)
            configure(connection)
            if not is_made(connection, write):
                connection.close()
                return None
            check_ours(connection, self.path)
        except BaseException as error:
            connection.close()
            if isinstance(error, DamagedError) or not is_damage(error):
                raise
            if not says_it_is_ours(self.path):
                raise NotOursError(not_ours(self.path)) from error
            raise
        self._connection, self._file = connection, identity(self.path)
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

        It is not removed: a process that has it open would go on writing to it next to its
        successor, and the journal of one would be replayed into the other.
        """
        self._drop()
        connection = sqlite3.connect(self.path.absolute(), isolation_level=None)
        try:
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
            # Nobody reads or writes now, or nobody can.
            os.truncate(self.path, 0)
        finally:
            connection.close()

    def forget_parent(self) -> None:
        """In a child process: leave the parent's connection to the parent."""
        super().forget_parent()
        if self._connection is not None:
            _inherited.append(self._connection)
        self._connection = None


_inherited: list[sqlite3.Connection] = []  # from the parent: not even to be closed
