"""Folders in which something large is made, and which are removed even if that is killed."""

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
    """A new folder for as long as it is used; what killed processes left behind is removed first.

    The system releases the lock of a process that ends, however it ends.

    Args:
        where: A folder that exists.

    Raises:
        OSError: If nothing can be written there.
    """
    sweep(where)
    folder = where / f"{_PREFIX}{uuid.uuid4().hex}"
    lock = FileLock(_lock_of(folder))
    with lock:  # before the folder exists, or others would take it for left behind
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)


def sweep(where: Path) -> None:
    """Remove the folders in which nothing is being made any more."""
    for folder in where.glob(f"{_PREFIX}*"):
        if folder.suffix == ".lock":
            continue
        with suppress(Timeout, OSError), FileLock(_lock_of(folder), timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_suffix(".lock")
