"""Folders in which something large is made, and which go even where that is killed."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX = "making-"


@contextmanager
def scratch(where: Path) -> Iterator[Path]:
    """A new folder for as long as it is used; what killed processes left behind goes first.

    The system gives up the lock of a process that ends, however it does.

    Args:
        where: A folder that is there.

    Raises:
        OSError: If nothing can be written there.
    """
    sweep(where)
    folder = where / f"{_PREFIX}{uuid.uuid4().hex}"
    lock = FileLock(_lock_of(folder))
    with lock:  # before the folder is there, or others would take it for left behind
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)


def sweep(where: Path) -> None:
    """Remove the folders that nobody makes anything in any more."""
    for folder in where.glob(f"{_PREFIX}*"):
        if folder.suffix == ".lock":
            continue
        with suppress(Timeout, OSError), FileLock(_lock_of(folder), timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_suffix(".lock")
