"""What modules and their objects hold besides parameters and buffers, in lists and mappings too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from attnmass.models.behaviour import holds
from attnmass.models.checksums import checksum
from attnmass.models.plain import is_plain
from attnmass.models.weights import address

LOOSE = (Tensor, np.ndarray)
DEEPEST = 4  # lists in lists


class Loose(NamedTuple):
    """A tensor or array that is neither parameter nor buffer, and what it was.

    Attributes:
        name: Its dotted name.
        have: The attributes, list or mapping that it is in.
        key: Where it is in that.
        place: Its `address`, where it has one.
        checksum: That of its numbers.
    """

    name: str
    have: Any
    key: Any
    place: tuple[int, int] | None
    checksum: str

    @classmethod
    def of(cls, name: str, have: Any, key: Any) -> Loose:
        """What `have[key]` is now."""
        value = have[key]
        place = address(value) if isinstance(value, Tensor) else None
        return cls(name, have, key, place, checksum(value))

    def is_same(self) -> bool:
        """Whether it still is that, or has the same numbers."""
        try:
            now = self.have[self.key]
        except (LookupError, TypeError):
            return False
        if isinstance(now, Tensor) and address(now) == self.place:
            return True
        return isinstance(now, LOOSE) and checksum(now) == self.checksum


def leaves(name: str, held: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """What lists, mappings and functions hold, however nested, with its dotted name."""
    for key, value in held.items() if isinstance(held, dict) else enumerate(held):
        inside = value if isinstance(value, (list, tuple, dict)) else holds(value)
        if not inside:
            yield f"{name}.{key}", value
        elif depth < DEEPEST and not is_plain(inside):
            yield from leaves(f"{name}.{key}", inside, depth + 1)


def parts(held: Any) -> Iterable[Any]:
    """What is in a list or a mapping itself."""
    return held.values() if isinstance(held, dict) else held
