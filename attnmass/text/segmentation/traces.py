"""Stack traces in a text: each frame is a piece, and so is what was raised."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attnmass.text.segmentation.regions import Piece, Region, is_indented

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r"""[ \t]+File "[^"]{1,400}", line \d""")
# Java, C#, JavaScript; Ruby has `from`. Brackets or a line number, so that verse does not match.
_AT = re.compile(
    r"[ \t]+(?:at|from) \S[^()\r\n]{0,400}"
    r"(?:[\w>`\]]\(|\((?:[^()\r\n]{0,300}:\d|native|<anonymous>|index \d)"
    r"|:\d+(?::\d+)?[ \t]*$|:\d+:in |:line \d)"
    r"|[ \t]*\.\.\. \d{1,9} (?:more|common frames)"
    r"|[ \t]*(?:Caused by|Suppressed): ?[\w$.]"
)
_GOROUTINE = re.compile(r"goroutine \d{1,19} \[[^\]]{1,100}\]:$")
# `#0  0x1 in main () at a.c:9`, `#0 /a.php(7): main()`, `   0: core::panicking::panic`.
_NUMBERED = re.compile(r"(?:[ \t]{0,8}#|[ \t]{1,8}(?=\d{1,5}:))(\d{1,5}):? {1,4}\S")
_PLACE = re.compile(r"[ \t]{8,40}at \S")


def find_trace(lines: Sequence[str], first: int) -> Region | None:
    """A stack trace: each frame is a piece, and so is what was raised."""
    if lines[first].strip() == _TRACEBACK:
        return _python_trace(lines, first)
    if _GOROUTINE.match(lines[first]):
        return _by_indent(lines, first)
    if numbered := _numbered(lines, first):
        return numbered
    if first + 1 < len(lines) and _AT.match(lines[first + 1]) and lines[first].strip():
        last = first + 1
        while last < len(lines) and _AT.match(lines[last]):
            last += 1
        pieces = tuple(Piece(line, line + 1, "code") for line in range(first, last))
        return Region(first, last, pieces)
    return None


def _numbered(lines: Sequence[str], first: int) -> Region | None:
    """Frames with numbers that count up: Rust, whose places are below them, gdb and PHP."""
    pieces: list[Piece] = []
    numbers: list[int] = []
    line = first
    while line < len(lines):
        if found := _NUMBERED.match(lines[line]):
            number = int(found[1])
            if numbers and number != numbers[-1] + 1:
                break
            pieces.append(Piece(line, line + 1, "code"))
            numbers.append(number)
        elif pieces and _PLACE.match(lines[line]):
            pieces[-1] = pieces[-1].until(line + 1)
        else:
            break
        line += 1
    return Region(first, line, tuple(pieces)) if len(pieces) > 1 else None


def _python_trace(lines: Sequence[str], first: int) -> Region | None:
    """Python's: its heading goes with the first frame; what was raised is separate."""
    pieces: list[Piece] = []
    line = first + 1
    while line < len(lines) and is_indented(lines[line]):
        if _FRAME.match(lines[line]) and pieces:
            pieces.append(Piece(line, line + 1, "code"))
        elif pieces:
            pieces[-1] = pieces[-1].until(line + 1)
        else:
            pieces.append(Piece(first, line + 1, "code"))
        line += 1
    if not pieces:
        return None
    if line < len(lines) and lines[line].strip():
        pieces.append(Piece(line, line + 1, "code"))
    return Region(first, pieces[-1].last, tuple(pieces))


def _by_indent(lines: Sequence[str], first: int) -> Region:
    """Each line with the indented lines below it, up to a blank one."""
    pieces = [Piece(first, first + 1, "code")]
    line = first + 1
    while line < len(lines) and lines[line].strip():
        if is_indented(lines[line]):
            pieces[-1] = pieces[-1].until(line + 1)
        else:
            pieces.append(Piece(line, line + 1, "code"))
        line += 1
    return Region(first, line, tuple(pieces))
