"""The file of a store and what SQLite puts beside it, as seen in the file system."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from attnmass.store.tables import APPLICATION, NotOursError

HEADER_BYTES = 100  # of an SQLite file
_MAGIC = b"SQLite format 3\0"
_APPLICATION_AT = slice(68, 72)
_SIDE_FILES = ("-journal", "-wal", "-shm")
_OLD_FORMAT = re.compile(r"[0-9a-f]{64}\.safetensors")


def check_kind(path: Path) -> None:
    """Make sure that a file can be opened under this name, and those beside it.

    Raises:
        NotOursError: If there is something else there: SQLite would wait for ever to read a FIFO.
    """
    for name in (path, *beside(path)):
        try:
            mode = name.stat().st_mode
        except OSError:
            continue
        if not stat.S_ISREG(mode):
            raise NotOursError(f"{name} is not a file but {_kind(mode)}: remove it")
    if any(name.exists() for name in beside(path)[1:]):
        raise NotOursError(
            f"another program has {path} open with a write-ahead log: close it there, or name "
            "another folder"
        )


def says_it_is_ours(path: Path) -> bool:
    """Whether a file that SQLite cannot read was a store, by what is left of its header.

    Only for such a file: closing it here drops the locks that this process has on it.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError:
        return False
    mark = APPLICATION.to_bytes(4, "big")
    if len(header) < HEADER_BYTES:
        return _MAGIC.startswith(header[: len(_MAGIC)])
    return header[_APPLICATION_AT] == mark or not header.strip(b"\0")


def beside(path: Path) -> list[Path]:
    """Where SQLite may put what belongs to a file: its journal first, then a write-ahead log's."""
    return [path.with_name(path.name + ending) for ending in _SIDE_FILES]


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file, or `None` where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def size_of(path: Path) -> int | None:
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


def has_old_format(folder: Path) -> bool:
    """Whether chunks were kept there as safetensors files, as in the first version."""
    with suppress(OSError), os.scandir(folder) as found:
        return any(_OLD_FORMAT.fullmatch(item.name) for item in found)
    return False
