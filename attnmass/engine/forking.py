"""What a process keeps when it is forked, as gunicorn's preload and multiprocessing do."""

from __future__ import annotations

import os
import threading
import weakref


class ForkLock:
    """A lock for `with` that other threads of the parent do not hold in a forked process.

    They are not there to give it back. What it guards must be sound at any moment, but for counts.
    """

    def __init__(self) -> None:
        """Nobody holds it."""
        self._lock = threading.Lock()
        self._owner: int | None = None
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._owner = None
        self._lock.release()

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._lock.locked()

    def _forked(self) -> None:
        """In the new process: give back what only a thread of the old one could."""
        # A thread may have been between taking the lock and saying so, or giving it back.
        if self._owner != threading.get_ident():
            self._lock, self._owner = threading.Lock(), None


_locks: weakref.WeakSet[ForkLock] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_locks):
        lock._forked()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)
