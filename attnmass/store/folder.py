"""Entries in a folder: one safetensors file each, shared by processes without any lock.

Why files of safetensors: the format is a dependency already, it holds numbers and no code, and its
header says how long the data has to be. A file is written under another name in the same folder
and then renamed, which is atomic: other processes see all of an entry or nothing, and a process
that is killed leaves at most a temporary file, which is removed later. A database would add a
dependency, or put megabytes of tensors behind one writer's lock.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
import zlib
from collections.abc import Mapping
from logging import getLogger
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from attnmass.store.formats import compact

_logger = getLogger(__name__)

_ENTRY = re.compile(r"[0-9a-f]{64}\.safetensors")
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")
_ABANDONED = 3600.0  # seconds after which a temporary file has no writer any more
_SLACK = 16  # others' files are looked for whenever so great a part of the bound was written


class _File(NamedTuple):
    """An entry as the folder lists it; sorts by its last use."""

    used: int
    path: Path
    size: int


class FolderStore:
    """Entries by key, bounded by the size of their files.

    Failures of the file system never reach the caller: an entry that cannot be read is a miss, one
    that cannot be written is not kept, and a warning is logged once. Entries that are damaged, or
    of another key than their name says, are removed. Files of other names are left alone.

    Several processes that write at once may exceed the bound by a sixteenth of it each, until the
    next of them looks.

    Attributes:
        evictions: How many entries this store removed to make room.
    """

    def __init__(self, folder: Path, limit: int | None) -> None:
        """Use a folder, which is made when something is first written.

        Args:
            folder: Where the files are.
            limit: Most bytes of all files; `None` for no bound.
        """
        self.evictions = 0
        self._folder = folder
        self._limit = limit
        self._bytes: int | None = None  # of all files, as far as this process knows
        self._unseen = 0  # bytes written since the folder was last listed
        self._warned = False

    @property
    def bytes(self) -> int:
        """Bytes of all entries in the folder, whoever wrote them."""
        try:
            return sum(file.size for file in self._list())
        except OSError:
            return 0

    def touch(self, key: str) -> bool:
        """Whether there is an entry, without reading it; it then counts as used."""
        path = self._path(key)
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        except OSError:  # others' folder, which can only be read
            return path.exists()
        return True

    def read(self, key: str) -> dict[str, Tensor] | None:
        """The tensors of an entry, in main memory, or `None`."""
        path = self._path(key)
        try:
            tensors = _read(path, key)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn("cannot be read", error)
            return None
        except (SafetensorError, ValueError, RuntimeError) as error:
            _logger.warning("a damaged entry of the chunk cache is removed: %s: %s", path, error)
            self._remove(path)
            return None
        self.touch(key)
        return tensors

    def write(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep an entry; one that is larger than the bound by itself is not kept."""
        main = {name: tensor.cpu() for name, tensor in tensors.items()}
        data = save(main, {"key": key, "crc32": _checksum(main)})
        if self._limit is not None and len(data) > self._limit:
            return
        # Not synced to the disk: what a power failure tears is found by its checksum.
        temporary = self._folder / f".{uuid.uuid4().hex}.tmp"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room(len(data))
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                temporary.replace(self._path(key))
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            self._warn("cannot be written", error)
            return
        self._bytes = (self._bytes or 0) + len(data)
        self._unseen += len(data)

    def _make_room(self, size: int) -> None:
        """Remove the entries that were not used for longest until `size` more bytes fit."""
        if self._limit is not None and self._bytes is not None:
            fits = self._bytes + size <= self._limit
            if fits and self._unseen <= self._limit // _SLACK:
                return
        elif self._bytes is not None:
            return
        files = sorted(self._list())
        self._bytes, self._unseen = sum(file.size for file in files), 0
        if self._limit is None:
            return
        wanted = max(size, self._limit // _SLACK)  # more than one, or each would list the folder
        for file in files:
            if self._bytes + wanted <= self._limit:
                return
            self._remove(file.path)
            self._bytes -= file.size
            self.evictions += 1

    def _list(self) -> list[_File]:
        """All entries; temporary files that were left behind are removed on the way."""
        files = []
        if not self._folder.is_dir():
            return []
        with os.scandir(self._folder) as found:
            for item in found:
                try:
                    status = item.stat()
                except FileNotFoundError:  # another process was quicker
                    continue
                path = Path(item.path)
                if _ENTRY.fullmatch(item.name):
                    files.append(_File(status.st_mtime_ns, path, status.st_size))
                elif _TEMPORARY.fullmatch(item.name) and _is_old(status.st_mtime):
                    self._remove(path)
        return files

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._warn("cannot be removed", error)

    def _warn(self, what: str, error: OSError) -> None:
        """Say once what is wrong with the folder; there may be thousands of entries."""
        if not self._warned:
            _logger.warning("entries of the chunk cache %s: %s", what, error)
        self._warned = True


def _read(path: Path, key: str) -> dict[str, Tensor]:
    """The tensors of a file, checked.

    Raises:
        ValueError: If they are not what was written under this key.
    """
    with path.open("rb"):  # what the file system says, safetensors would put in its own words
        pass
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        # Copies: a view would keep the whole file mapped, which others may remove.
        tensors = {name: compact(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    if metadata.get("key") != key:
        raise ValueError("it is of another key")
    if metadata.get("crc32") != _checksum(tensors):
        raise ValueError("its checksum differs")
    return tensors


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of names, dtypes, shapes and data: against accidents, not against forgery."""
    names = sorted(tensors)
    about = [[name, str(tensors[name].dtype), *tensors[name].shape] for name in names]
    total = zlib.crc32(json.dumps(about).encode())
    for name in names:
        data = tensors[name].contiguous().reshape(-1).view(torch.uint8)
        total = zlib.crc32(data.numpy().data, total)
    return f"{total:08x}"


def _is_old(changed: float) -> bool:
    return time.time() - changed > _ABANDONED
