"""Sums over calls, from several threads."""

from __future__ import annotations

from collections import Counter

from attnmass.engine.forking import ForkLock


class Tally:
    """Adds up amounts by name."""

    def __init__(self) -> None:
        """Everything is zero."""
        self._lock = ForkLock()
        self._sums: Counter[str] = Counter()

    def add(self, **amounts: float) -> None:
        """Add to some of the sums, all at once."""
        with self._lock:
            for name, amount in amounts.items():
                self._sums[name] += amount  # type: ignore[assignment]

    def __getitem__(self, name: str) -> float:
        with self._lock:
            return self._sums[name]
