"""One ranker for everyone who names the same model, loaded when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnmass.engine.forking import ForkLock
from attnmass.options.checks import check_path, check_type
from attnmass.options.choices import DEFAULT_MODEL

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker


@dataclass
class _Slot:
    """A ranker that is there or being loaded; its lock makes others wait for the one who loads."""

    lock: ForkLock = field(default_factory=ForkLock)
    ranker: AttentionRanker | None = None


_slots: dict[Hashable, _Slot] = {}
_guard = ForkLock()


def shared_ranker(name: str = DEFAULT_MODEL, **options: Any) -> AttentionRanker:
    """The ranker of a model, loaded on the first call and shared by every later one.

    Args:
        name: As in `AttentionRanker.from_pretrained`.
        **options: Its options; other options are another ranker, with a model and a cache of its
            own. Each must be hashable, so heads are a tuple of pairs.

    Raises:
        TypeError: If an option is not hashable, or the name is none.
        AttnMassError: As `AttentionRanker.from_pretrained`; the next call tries again.
    """
    from attnmass.loading.sources import ALIASES
    from attnmass.options.declared import defaults_of
    from attnmass.options.fields import LOADING_GROUPS
    from attnmass.ranker import AttentionRanker

    check_path("name", name)
    name = os.fspath(name)
    name = name.lower() if name.lower() in ALIASES else name
    defaults = defaults_of(*LOADING_GROUPS)
    options = {name: value for name, value in options.items() if value != defaults.get(name)}
    key = (name, *sorted(options.items(), key=lambda item: item[0]))
    with _guard:
        slot = _slots.setdefault(key, _Slot())
    with slot.lock:
        if slot.ranker is None:
            slot.ranker = AttentionRanker.from_pretrained(name, **options)
        return slot.ranker


def release(name: str | None = None) -> int:
    """Forget shared rankers, so that their memory is freed once nobody else holds them.

    Args:
        name: Only those of this name; default: all.

    Returns:
        How many were forgotten.
    """
    check_type("name", name, str, optional="all")
    names = None if name is None else (name, name.lower())  # short names are kept in lower case
    with _guard:
        keys = [key for key in _slots if names is None or key[0] in names]  # type: ignore[index]
        forgotten = [_slots.pop(key) for key in keys]
    return sum(slot.ranker is not None for slot in forgotten)
