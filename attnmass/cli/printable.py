"""Text of others on its way to a terminal or a file."""

from __future__ import annotations

import re
import sys

_SURROGATE = re.compile("[\ud800-\udfff]")
# All control characters but tab and line feed: a chunk must not move the cursor or set colours.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Nor may it turn the direction in which the rest of its line, which is not its own, is written.
_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")


def encodable(text: str) -> str:
    """The text with what the output cannot hold (lone surrogates, mostly) as U+FFFD or `?`."""
    text = _SURROGATE.sub("\ufffd", text)
    name = sys.stdout.encoding or "utf-8"
    if name.lower().replace("-", "") == "utf8":
        return text
    return text.encode(name, "replace").decode(name)


def printable(text: str) -> str:
    """The text as a terminal may have it: with a sign for whatever could steer it."""
    text = text.replace("\r\n", "\n")
    for pattern in (_CONTROL, _OVERRIDES, _SURROGATE):
        text = pattern.sub("\ufffd", text)
    return text


def on_one_line(text: str, limit: int | None = None) -> str:
    """The text with every run of white space as one space, cut after `limit` characters."""
    line = " ".join(text.split()) if limit is None else " ".join(text[: 4 * limit].split())
    if limit is not None and (len(line) > limit or len(text) > 4 * limit):
        return f"{line[: limit - 1].rstrip()}…"
    return line
