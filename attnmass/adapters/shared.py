"""One ranker for everyone who names the same model, loaded when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnmass.engine.forking import ForkLock
from attnmass.options.checks import check_path, check_type
from attnmass.options.choices import DEFAULT_MODEL
from attnmass.options.keywords import names_nearest
from attnmass.options.urls import is_url

if TYPE_CHECKING:
    from attnmass.client.remote import RemoteRanker
    from attnmass.ranker import AttentionRanker


@dataclass
class _Slot:
    """The rankers of one model; its lock makes others wait for the one who loads.

    Attributes:
        lock: Held while one is loaded.
        rankers: By the name that was given, and the options.
    """

    lock: ForkLock = field(default_factory=ForkLock)
    rankers: dict[Hashable, AttentionRanker | RemoteRanker] = field(default_factory=dict)


# The name, and pairs of an option's name and its value.
_Key = tuple[Any, ...]

_slots: dict[str, _Slot] = {}
_guard = ForkLock()


@names_nearest
def shared_ranker(name: str = DEFAULT_MODEL, **options: Any) -> AttentionRanker | RemoteRanker:
    """The ranker of a model, loaded on the first call and shared by every later one.

    Args:
        name: As in `AttentionRanker.from_pretrained`, or the URL of a server.
        **options: Its options; other options mean another ranker, with its own cache, over the same
            weights where they run in the same layers, dtype and place. Each must be hashable, so
            heads are a tuple of pairs.

    Raises:
        TypeError: If an option is not hashable, or the name is not one.
        AttnMassError: As `AttentionRanker.from_pretrained`; the next call tries again.
    """
    place, name, key = _keys(name, options)
    options = dict(key[1:])
    while True:
        with _guard:
            slot = _slots.setdefault(place, _Slot())
            found = slot.rankers.get(key)
        if found is not None:
            return found
        with slot.lock:
            with _guard:
                if _slots.get(place) is not slot:
                    continue  # whoever had it failed, or it was released meanwhile
                found = slot.rankers.get(key)
            if found is not None:
                return found
            try:
                found = slot.rankers[key] = _made(name, options)
                return found
            finally:
                with _guard:
                    if not slot.rankers and _slots.get(place) is slot:
                        del _slots[place]


def ranker_in_memory(name: str, **options: Any) -> AttentionRanker | RemoteRanker | None:
    """What `shared_ranker` would return at once; `None` where it would have to load a model.

    Args, errors: as in `shared_ranker`.
    """
    place, _, key = _keys(name, options)
    with _guard:
        slot = _slots.get(place)
        return None if slot is None else slot.rankers.get(key)


def _keys(name: str, options: dict[str, Any]) -> tuple[str, str, _Key]:
    """The place of a model, the name that it is loaded by, and what tells its rankers apart.

    The last is the name, and the options that are not the defaults.
    """
    from attnmass.loading.sources import ALIASES, place_of
    from attnmass.options.declared import defaults_of
    from attnmass.options.fields import LOADING_GROUPS

    check_path("name", name)
    name = os.fspath(name)
    place = place_of(name)
    defaults = defaults_of(*LOADING_GROUPS)
    told = [(name, value) for name, value in options.items() if value != defaults.get(name)]
    name = place if place in ALIASES else name
    key = (name, *sorted(told, key=lambda item: item[0]))
    hash(key)  # raises TypeError if it cannot, before anything is stored
    return place, name, key


def _made(name: str, options: dict[str, Any]) -> AttentionRanker | RemoteRanker:
    if is_url(name):
        from attnmass.adapters.remote import remote_ranker

        return remote_ranker(name, options)
    from attnmass.ranker import AttentionRanker

    return AttentionRanker.from_pretrained(name, **options)


@names_nearest
def release(name: str | None = None) -> int:
    """Forget shared rankers; their memory is free when this returns, unless something holds them.

    Args:
        name: Only those of this model, in whatever spelling; default: all.

    Returns:
        How many were forgotten.
    """
    from attnmass.loading.sources import place_of

    check_type("name", name, str, optional="all")
    with _guard:
        places = list(_slots) if name is None else [place_of(name)]
        forgotten = [_slots.pop(place) for place in places if place in _slots]
    return sum(len(slot.rankers) for slot in forgotten)
