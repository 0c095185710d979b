"""What chunks left behind, kept for later queries: in memory, and in a folder if wanted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from attnmass.store.keys import digest_key, entry_key, scope_digest

if TYPE_CHECKING:
    from attnmass.store.chunks import ChunkCache

__all__ = ["ChunkCache", "digest_key", "entry_key", "scope_digest"]


def __getattr__(name: str) -> Any:
    if name == "ChunkCache":  # brings in torch, which the store itself does without
        return import_module("attnmass.store.chunks").ChunkCache
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
