"""Where text without white space is cut, if it must be."""

from __future__ import annotations

import unicodedata

# What ends a part of minified code and data.
_JOINTS = "};>,"
_JOINT = 200  # characters from the end


def place_without_space(text: str, start: int, stop: int) -> int:
    """The place up to `stop`, after `start`, where a cut does the least harm."""
    return _joint(text, start, stop) or _between_characters(text, start, stop)


def _joint(text: str, start: int, stop: int) -> int | None:
    """The last place up to `stop`, and not far from it, after a mark that ends a part of code."""
    for mark in _JOINTS:
        place = text.rfind(mark, max(start, stop - _JOINT), stop - 1)
        if place >= 0:
            return place + (2 if text[place + 1] in ",;" else 1)
    return None


def _between_characters(text: str, start: int, stop: int) -> int:
    """The last place up to `stop` that no accent or joiner follows; `stop` where all are."""
    for place in range(stop, start, -1):
        after, before = text[place], text[place - 1]
        if unicodedata.category(after) not in ("Mn", "Mc", "Me", "Cf", "Sk") and before != "\u200d":
            return place
    return stop
