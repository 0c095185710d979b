"""What stores that machines share count, and how they report trouble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from logging import getLogger

from attnmass.store.entry import Entry

_logger = getLogger(__name__)


class Counted:
    """A store at a URL, see `attnmass.store.tiers.Shared`.

    Attributes:
        url: Where it is.
        hits: How many values were found since this was built.
        misses: How many were not, for whatever reason.
        failures: How often it could not be asked, or refused to keep values.
        trouble: Why, the last time, or what was wrong with a value.
        bytes_read: Bytes of the values that were found.
        bytes_written: Bytes of the values that it took.
    """

    def __init__(self, url: str) -> None:
        """Nothing has been asked yet."""
        super().__init__()
        self.url = url
        self.hits = 0
        self.misses = 0
        self.failures = 0
        self.trouble: str | None = None
        self.bytes_read = 0
        self.bytes_written = 0
        self._told: set[str] = set()

    def _count(self, keys: Sequence[str], found: Mapping[str, Entry]) -> None:
        """Count what was asked for, and what was there."""
        self.hits += len(found)
        self.misses += len(keys) - len(found)
        self.bytes_read += sum(len(entry.data) for entry in found.values())

    def _tell(self, what: str) -> None:
        """Log something once; there may be thousands of values."""
        self.trouble = what
        if what not in self._told:
            _logger.warning("%s", what)
        self._told.add(what)
