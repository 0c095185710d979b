"""Diffs, tables with rules of dashes, and YAML: lines whose marks say what they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attnmass.text.segmentation.code_lines import is_code
from attnmass.text.segmentation.regions import Piece, Region, is_indented

_FILE = re.compile(r"diff -|Index: \S|--- \S")
_HUNK = re.compile(r"@@ -\d{1,9}(?:,\d{1,9})? \+\d{1,9}(?:,\d{1,9})? @@")
_MAX_ABOUT = 10  # lines about a file, before its first hunk

_RULE = re.compile(r" ?[+-][-+=]{2,}$")

_KEY = re.compile(r"[\w./$@-]{1,100}:(?:[ \t]|$)")
_MIN_KEYS = 3
_MIN_NESTED = 2
_MOST_CODE = 4  # one line in this many may look like code: Python has colons, too


def find_diff(lines: Sequence[str], first: int) -> Region | None:
    """Changes to files: what is said about a file is a piece, and so is each hunk."""
    pieces: list[Piece] = []
    line = first
    while line < len(lines):
        hunk = line
        if _FILE.match(lines[line]):
            while hunk < min(line + _MAX_ABOUT, len(lines)) and lines[hunk].strip():
                if _HUNK.match(lines[hunk]):
                    break
                hunk += 1
        if hunk == len(lines) or not _HUNK.match(lines[hunk]):
            break
        if hunk > line:
            pieces.append(Piece(line, hunk, "code"))
        line = hunk + 1
        while line < len(lines) and _is_of_hunk(lines, line):
            line += 1
        pieces.append(Piece(hunk, line, "code"))
    return Region(first, line, tuple(pieces)) if pieces else None


def _is_of_hunk(lines: Sequence[str], line: int) -> bool:
    """Whether it is a line of a hunk; an unchanged one may have lost its leading space."""
    if lines[line].startswith("--- ") and lines[line + 1 : line + 2]:
        return not lines[line + 1].startswith("+++ ")
    if lines[line].strip():
        return lines[line][0] in " +-\\\t"
    return any(other[:1] in (" ", "+", "-") for other in lines[line + 1 : line + 2])


def find_ruled(lines: Sequence[str], first: int) -> Region | None:
    """A table as databases print it: its head, down to the rule, heads the rows."""
    rules = [_RULE.match(line) is not None for line in lines[first : first + 3]]
    if rules == [True, False, True]:
        head = first + 3
    elif rules[:2] == [False, True] and not lines[first + 1].startswith("+"):
        head = first + 2
    else:  # a row in the middle of a table also has a rule below it
        return None
    if "|" not in lines[head - 2]:
        return None
    pieces = [Piece(first, head, "heading")]
    row = head
    while row < len(lines):
        if _RULE.match(lines[row]) and row > head:
            pieces[-1] = pieces[-1].until(row + 1)
        elif "|" in lines[row]:
            pieces.append(Piece(row, row + 1, "table"))
        else:
            break
        row += 1
    return Region(first, row, tuple(pieces)) if row > head else None


def find_yaml(lines: Sequence[str]) -> dict[int, Region]:
    """Settings with others below them, by first line: each is a piece with all that is below it."""
    found: dict[int, Region] = {}
    line = 0
    while line < len(lines):
        first = line
        pieces: list[Piece] = []
        keys = nested = 0
        while line < len(lines):
            text = lines[line]
            if _KEY.match(text):
                pieces.append(Piece(line, line + 1, "code"))
                keys += 1
            elif pieces and (is_indented(text) or text.startswith("- ")):
                pieces[-1] = pieces[-1].until(line + 1)
                is_key = _KEY.match(text.lstrip(" -")) is not None
                keys += is_key
                nested += is_key and is_indented(text) and not text.lstrip().startswith("- ")
            elif text.startswith(("#", "---")) and pieces:
                pieces.append(Piece(line, line + 1, "code"))
            elif text.strip() or not pieces or not _goes_on(lines, line + 1):
                break
            line += 1
        is_yaml = bool(pieces) and keys >= _MIN_KEYS and nested >= _MIN_NESTED
        if is_yaml and _MOST_CODE * sum(map(is_code, lines[first:line])) < line - first:
            found[first] = Region(first, pieces[-1].last, _with_comments(lines, pieces))
        line = max(line, first + 1)
    return found


def _goes_on(lines: Sequence[str], line: int) -> bool:
    """Whether more settings follow after a blank line."""
    return line < len(lines) and (is_indented(lines[line]) or _KEY.match(lines[line]) is not None)


def _with_comments(lines: Sequence[str], pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Comments and rules with the setting below them."""
    found: list[Piece] = []
    for piece in pieces:
        above = found[-1] if found else None
        if above and above.last == piece.first and lines[above.last - 1].startswith(("#", "---")):
            found[-1] = above.until(piece.last)
        else:
            found.append(piece)
    return tuple(found)
