"""Weights that are already in memory, so that they are not loaded a second time."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from attnmass.loading.sources import Source

# Nothing is kept alive: a model is freed with the last ranker that reads it.
_live: weakref.WeakValueDictionary[Hashable, Any] = weakref.WeakValueDictionary()


def origin_of(source: Source) -> Hashable:
    """What tells weights on a disk apart: their files as they are now, however spelled.

    `None` for those that have to be fetched.
    """
    if not source.local:
        return None
    folder = Path(source.name)
    files = list(source.parts)
    if source.gguf is not None and not files:
        files = [folder / source.gguf]
    if source.gguf is None:
        files = [*folder.glob("*.safetensors"), *folder.glob("*.json")]
    found = []
    for file in sorted(files):
        stat = file.stat()
        found.append((str(file.resolve()), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def find(origin: Hashable, about: Hashable) -> Any:
    """The model of this origin and kind that is currently in use, or `None`.

    Args:
        origin: From `origin_of`.
        about: What else a model depends on.
    """
    return None if origin is None else _live.get((origin, about))


def share(model: Any, origin: Hashable, about: Hashable) -> None:
    """Let others `find` a model, for as long as it exists; nobody may change it."""
    if origin is not None:
        _live[origin, about] = model
