"""Locks that stay in order across a fork."""

from __future__ import annotations

import os
import threading
import weakref


class Guarded:
    """Something behind a lock, which only the thread that forks holds while a process forks.

    So a child finds what is behind it intact, and not locked for ever by a thread that it does not
    have.

    Attributes:
        lock: Held while what is behind it is used or changed.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        with _forking:
            _guarded.add(self)

    def forget_parent(self) -> None:
        """In a child: leave to the parent what cannot be shared with it."""
        self.lock = threading.RLock()


_forking = threading.RLock()
_guarded: weakref.WeakSet[Guarded] = weakref.WeakSet()
_held: list[Guarded] = []


def _before() -> None:
    _forking.acquire()
    for one in list(_guarded):
        one.lock.acquire()
        _held.append(one)


def _in_parent() -> None:
    while _held:
        _held.pop().lock.release()
    _forking.release()


def _in_child() -> None:
    while _held:
        _held.pop().forget_parent()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
