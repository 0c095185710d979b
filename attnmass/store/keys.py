"""The key under which what a chunk left behind is kept: all that it depends on, in one digest."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Sequence

# Any change to what an entry holds, or to how it is made, needs a new version.
STORAGE_VERSION = 1


def scope_digest(**parts: object) -> bytes:
    """What all entries of one model, layout and profile have in common.

    Args:
        **parts: What keys and values depend on besides the chunk; JSON can write each.
    """
    said = json.dumps({"storage_version": STORAGE_VERSION, **parts}, sort_keys=True)
    return hashlib.sha256(said.encode()).digest()


def digest_key(scope: bytes, digest: bytes) -> str:
    """The key of a sequence of tokens by its own digest, 64 hexadecimal digits.

    Args:
        scope: From `scope_digest`.
        digest: From `Tokens.digest`.
    """
    return hashlib.sha256(scope + digest).hexdigest()


def entry_key(scope: bytes, ids: Sequence[int]) -> str:
    """The key of a sequence of token ids, 64 hexadecimal digits.

    Args:
        scope: From `scope_digest`.
        ids: The tokens that were read together.
    """
    return hashlib.sha256(scope + array("q", ids).tobytes()).hexdigest()
