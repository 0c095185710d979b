"""Runs of lines that were told apart from prose, and what finds a line's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attnmass.text.segmentation.spans import Kind


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines that are kept or dropped together.

    Attributes:
        first: The first of the lines, 0-based.
        last: One past the last.
        kind: What they are; a `heading` heads the rest of its region.
    """

    first: int
    last: int
    kind: Kind

    def until(self, last: int) -> Piece:
        """The piece with another end."""
        return replace(self, last=last)


@dataclass(frozen=True, slots=True)
class Region:
    """Lines of one kind, from `first` to before `last`; blank ones may be in no piece."""

    first: int
    last: int
    pieces: tuple[Piece, ...]


def is_indented(line: str) -> bool:
    """Whether a line that is not blank begins with white space."""
    return line[:1] in (" ", "\t") and bool(line.strip())


def next_text(lines: Sequence[str], line: int) -> int:
    """The first line from this one on that is not blank."""
    while line < len(lines) and not lines[line].strip():
        line += 1
    return line
