"""Which results this process gave last, so that one that comes back in stays as it is."""

from __future__ import annotations

import hashlib
import json
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from attnmass.engine.forking import ForkLock

if TYPE_CHECKING:
    from attnmass.client.remote import RemoteRanker
    from attnmass.ranker import AttentionRanker

# Id and text of a result, and what was written into its metadata.
Settled = tuple[str | None, str, Any]

_MOST = 4096

_given: OrderedDict[str, None] = OrderedDict()
_guard = ForkLock()
_numbers = count()
_numbered: dict[int, tuple[weakref.ref[Any], int]] = {}


def digest_of(
    query: str,
    options: Mapping[str, Any],
    ranker: AttentionRanker | RemoteRanker,
    results: Sequence[Settled],
    n_tokens: int | None,
) -> str:
    """What stands for one call: what was asked, of which heads, and what came out of it.

    It covers results and not just options: two results of one request may be too much together.
    """
    how = [ranker.profile.to_json(), ranker.options]
    asked = json.dumps([query, options, how, results, n_tokens], sort_keys=True, default=str)
    return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()


def settle(digest: str) -> None:
    """Remember a result; of very many, the earliest are forgotten.

    Not in the results' metadata: there it would differ for the same chunk in each call, and anybody
    could write it.
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


def number_of(one: object) -> int:
    """A number that stands for an object of the caller's, and never for another one.

    Its address would not do: once the object is gone, another may have it. An object that cannot be
    known to be gone gets a new number each time, so that nothing is settled by it.
    """
    with _guard:
        found = _numbered.get(id(one))
        if found is not None and found[0]() is one:
            return found[1]
        number = next(_numbers)
        try:
            _numbered[id(one)] = weakref.ref(one), number
        except TypeError:
            return number
        while len(_numbered) > _MOST:
            del _numbered[next(iter(_numbered))]
        return number
