"""When values of a store were used, noted without a transaction for each read."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from attnmass.store.database import Database
from attnmass.store.statements import note_uses
from attnmass.store.tables import NotOursError

SHORT_PATIENCE: Final = 0.2  # for what is not worth more, such as noting uses
_USES_EVERY = 60.0  # seconds after which uses are noted without anything to write


class Uses:
    """Which values have been used since uses were last noted in the file.

    It is noted with the next write, once a minute where there is none, and at the end.

    Attributes:
        keys: Those of the values, the latest last.
    """

    def __init__(self, database: Database) -> None:
        """Nothing has been used yet."""
        self.keys: dict[bytes, None] = {}  # the latest last
        self._database = database
        self._since = time.monotonic()

    def add(self, keys: Iterable[bytes]) -> None:
        """Note that values were used, the latest last."""
        for key in keys:
            self.keys.pop(key, None)
            self.keys[key] = None
        if self.keys and time.monotonic() - self._since > _USES_EVERY:
            self._note()

    def noted(self) -> None:
        """Note that all is in the file, or that nothing is in it any more."""
        self.keys.clear()
        self._since = time.monotonic()

    def end(self) -> None:
        """Note what is left, and close the file."""
        with self._database.lock:
            if self.keys:
                self._note()
            self._database.close()

    def _note(self) -> None:
        with suppress(sqlite3.Error, OSError, NotOursError):  # as in a folder of somebody else's
            if self._database.path.exists():  # a removed one is not created anew for that
                task = partial(note_uses, self.keys)
                self._database.run(task, write=True, patience=SHORT_PATIENCE)
        self.noted()
