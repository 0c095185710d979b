"""What a store says about itself: which models wrote into it, and in which layouts.

Values are found by digests, from which nobody could tell. This is for people, and for a reader that
would like to read as was written; it decides nothing about which values are found.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from attnmass.store.disk import DiskStore
from attnmass.store.statements import LARGEST_ABOUT

_MOST = 16  # models that are listed
_LONGEST_NAME = 1000  # characters


@dataclass(frozen=True, slots=True)
class Written:
    """The fact that a corpus was read into a store.

    Attributes:
        model: The name by which the model was loaded.
        layout: The layout that it was read in.
    """

    model: str
    layout: str


def read_written(store: DiskStore) -> tuple[Written, ...]:
    """Who wrote into a store, one entry for each model, the latest last.

    Raises:
        OSError: If the store cannot be used.
    """
    return _parse(store.about())


def note_written(store: DiskStore, model: str, layout: str) -> None:
    """Note who is going to write into a store, which is created if it does not exist.

    Raises:
        OSError: If it cannot be written.
    """
    if len(model) > _LONGEST_NAME:
        return  # a path that no line could show
    new = Written(model, layout)

    def change(said: bytes | None) -> bytes:
        others = [one for one in _parse(said) if one.model != new.model]
        kept = [*others, new][-_MOST:]
        while True:
            data = json.dumps([asdict(one) for one in kept]).encode()
            if len(data) <= LARGEST_ABOUT:
                return data
            del kept[0]

    store.tell(change)


def _parse(said: bytes | None) -> tuple[Written, ...]:
    """Never an error: what others wrote is no more than a hint."""
    try:
        found = json.loads(said or b"[]")
        read = [Written(one["model"], one["layout"]) for one in found]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()
    return tuple(one for one in read if isinstance(one.model, str) and isinstance(one.layout, str))
