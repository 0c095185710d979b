"""What chunks left behind, kept for later queries: in memory, and if wanted in a folder."""

from attnmass.store.chunks import ChunkCache
from attnmass.store.keys import digest_key, entry_key, scope_digest

__all__ = ["ChunkCache", "digest_key", "entry_key", "scope_digest"]
