"""Subtitles in a text: each cue, with its times, is a piece."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attnmass.text.segmentation.regions import Piece, Region, next_text

_TIMING = re.compile(
    r"(?:\d{1,3}:)?\d{1,2}:\d\d[.,]\d{1,3}[ \t]{1,9}-->[ \t]{1,9}(?:\d{1,3}:)?\d{1,2}:\d\d[.,]\d"
    r"|\d{1,2}:\d\d:\d\d\.\d{3},\d{1,2}:\d\d:\d\d\.\d{3}[ \t]*$"
)
_STAMP = re.compile(r"(?:\d{1,2}:)?\d{1,2}:\d\d[ \t]*$")
_MAX_CUE_NAME = 40


def find_cues(lines: Sequence[str], first: int) -> Region | None:
    """Cues: a number or name on its own line or none, the times, the text."""
    pieces: list[Piece] = []
    line = first
    while (timing := _timing_line(lines, line)) is not None:
        end = timing + 1
        while end < len(lines) and lines[end].strip() and _timing_line(lines, end) is None:
            end += 1
        pieces.append(Piece(line, end, "sentence"))
        line = next_text(lines, end)
    if pieces:
        return Region(first, pieces[-1].last, tuple(pieces))
    return _stamped(lines, first)


def _timing_line(lines: Sequence[str], line: int) -> int | None:
    """The line with the times of the cue that begins with this one."""
    if line < len(lines) and _TIMING.match(lines[line]):
        return line
    named = line + 1 < len(lines) and 0 < len(lines[line].strip()) <= _MAX_CUE_NAME
    return line + 1 if named and _TIMING.match(lines[line + 1]) else None


def _stamped(lines: Sequence[str], first: int) -> Region | None:
    """Cues that are a bare time on its own line and the text below it, at least two of them."""
    pieces: list[Piece] = []
    line = first
    while line + 1 < len(lines) and _STAMP.match(lines[line]) and lines[line + 1].strip():
        end = line + 1
        while end < len(lines) and lines[end].strip() and not _STAMP.match(lines[end]):
            end += 1
        if end == line + 1:
            break
        pieces.append(Piece(line, end, "sentence"))
        line = next_text(lines, end)
    return Region(first, pieces[-1].last, tuple(pieces)) if len(pieces) > 1 else None
