"""What chunks left behind, kept for later queries: in memory, and if wanted in a folder."""

from attnmass.cache.chunks import ChunkCache
from attnmass.cache.keys import entry_key, scope_digest

__all__ = ["ChunkCache", "entry_key", "scope_digest"]
