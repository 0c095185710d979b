"""The kinds of span, and white space as the whole package means it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sentence", "heading", "code", "table", "list_item", "html", "rule"]

# What Markdown calls the end of a line; `str.splitlines` knows more of them (U+2028, form feed).
LINE_END = re.compile(r"\r\n?|\n")

# A heading of one line is at most so long; so is a first line that counts as a title.
MAX_TITLE = 100

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Span:
    """`[start, end)` characters of the text, not yet told which headings it stands under.

    Attributes:
        start: First character.
        end: One past the last character.
        kind: What it is.
        level: Of a heading, 1 to 6, or 0 for the title of the whole text.
        quote: How many block quotes it is in.
    """

    start: int
    end: int
    kind: Kind
    level: int = 0
    quote: int = 0


def readable(text: str) -> str:
    """The text with lone surrogates, which neither library takes, as U+FFFD: as long as before."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """`[start, end)` without the white space at either end; empty if there is nothing else."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, max(start + left, start + len(piece.rstrip()))


def line_starts(text: str) -> list[int]:
    """Where the lines of a text begin, and last of all its length."""
    starts = [0, *(match.end() for match in LINE_END.finditer(text))]
    return starts if starts[-1] == len(text) and len(starts) > 1 else [*starts, len(text)]
