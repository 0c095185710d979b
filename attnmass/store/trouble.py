"""What goes wrong with a store, and who hears about it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path

from attnmass.store.tables import NotOursError

_logger = getLogger(__name__)

_REST = 30.0  # seconds in which a store that was locked for too long is not asked again


class Trouble:
    """Keeps trouble with a store's file from those who can go on without it.

    Attributes:
        latest: Why the file could not be used the last time that it could not.
    """

    def __init__(self, path: Path) -> None:
        """There is no trouble yet."""
        self.latest: str | None = None
        self._path = path
        self._resting_until = 0.0  # by the monotonic clock
        self._told: set[str] = set()

    @property
    def is_resting(self) -> bool:
        """Whether the file was locked a moment ago, and had better not be asked again."""
        return time.monotonic() < self._resting_until

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Go on without the store where it cannot be used, and say so once."""
        try:
            with self.as_os_errors():
                yield
        except NotOursError as error:
            self._tell(str(error))
        except OSError as error:
            if _is_locked(error.__cause__):  # every call would wait as long
                self._resting_until = time.monotonic() + _REST
            self._tell(str(error))

    @contextmanager
    def as_os_errors(self) -> Iterator[None]:
        """Raise `OSError` where the store cannot be used."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OSError(f"the store {self._path} cannot be used: {error}") from error

    def _tell(self, what: str) -> None:
        """Log something once; there may be thousands of values."""
        self.latest = what
        if what not in self._told:
            _logger.warning("%s", what)
        self._told.add(what)


def _is_locked(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
