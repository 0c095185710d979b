"""Which results this process gave last, so that one that comes in again stays as it is."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from attnmass.engine.forking import ForkLock

_MOST = 4096

_given: OrderedDict[str, None] = OrderedDict()
_guard = ForkLock()


def digest_of(asked: str) -> str:
    """What stands for a request and its result."""
    return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()


def settle(digest: str) -> None:
    """Remember a result; of very many the first are forgotten.

    Not in the results' metadata: there it would be another one for the same chunk in each call, and
    anybody could write it.
    """
    with _guard:
        _given[digest] = None
        _given.move_to_end(digest)
        while len(_given) > _MOST:
            _given.popitem(last=False)


def is_settled(digest: str) -> bool:
    """Whether this process gave that result, as far as it remembers."""
    with _guard:
        return digest in _given
