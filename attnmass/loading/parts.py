"""A file of which several packages carry a part each, because no package may be that large."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attnmass.loading.scratch import scratch
from attnmass.loading.sources import Source


@contextmanager
def in_one_folder(source: Source, where: Path) -> Iterator[str]:
    """The folder with the whole GGUF file of a source, for as long as it is being read.

    Args:
        source: What `locate` found.
        where: A folder on a disk with room for what has to be put together.

    Raises:
        OSError: If a part cannot be read, or the disk is full.
    """
    if not source.parts:
        yield source.name
        return
    with suppress(OSError):  # the cache is not writable; then the usual place
        where.mkdir(parents=True, exist_ok=True)
    is_ours = where.is_dir() and os.access(where, os.W_OK)
    made = scratch(where) if is_ours else tempfile.TemporaryDirectory()
    with made as folder:
        with (Path(folder) / str(source.gguf)).open("wb") as whole:
            for part in source.parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)
        yield str(folder)
