"""The kinds of span, and what the whole package means by white space."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sentence", "heading", "code", "table", "list_item", "html", "rule"]

# What Markdown calls the end of a line; `str.splitlines` knows more (U+2028, form feed).
LINE_END = re.compile(r"\r\n?|\n")

# A one-line heading is at most this long; so is a first line that counts as a title.
MAX_TITLE = 100

# No span has more characters than this, some 250 tokens, except a sentence, which is cut where it
# is no longer a sentence: see `bounds`.
MAX_SPAN = 1_000
MAX_SENTENCE = 2_000

# The level of what heads a part of a block, such as the first row of a table: below all headings.
BELOW_HEADINGS = 7

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Span:
    """`[start, end)` characters of the text, not yet assigned to the headings that it is under.

    Attributes:
        start: First character.
        end: One past the last character.
        kind: What it is.
        level: For a heading, 1 to 6; 0 for the title of the whole text, `BELOW_HEADINGS` for what
            heads a part of a block.
        quote: How many block quotes it is in.
        until: For a heading, from where on it heads nothing; `None` goes by the levels alone.
    """

    start: int
    end: int
    kind: Kind
    level: int = 0
    quote: int = 0
    until: int | None = None


def readable(text: str) -> str:
    """The text with lone surrogates, which neither library takes, as U+FFFD: as long as before."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """`[start, end)` without the white space at either end; empty if there is nothing else."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, max(start + left, start + len(piece.rstrip()))


def line_starts(text: str) -> list[int]:
    """Where the lines of a text begin, and at the end its length."""
    starts = [0, *(match.end() for match in LINE_END.finditer(text))]
    return starts if starts[-1] == len(text) and len(starts) > 1 else [*starts, len(text)]


def fence_of(line: str) -> tuple[str, str] | None:
    """The mark of a line that opens or closes a code fence, and what comes after it."""
    line = line.lstrip(" \t")
    rest = line.lstrip(line[0]) if line.startswith(("`", "~")) else line
    mark = line[: len(line) - len(rest)]
    return None if len(mark) < 3 or "`" in rest else (mark, rest.strip(" \t"))
