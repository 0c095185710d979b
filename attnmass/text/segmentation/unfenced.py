"""Lines that are no prose though nothing marks them: logs, stack traces, subtitles, CSV, code.

Each kind is known by more than one line, so that a sentence that happens to begin with a date or to
end with a brace stays one. Every line is looked at a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from attnmass.text.segmentation.code_lines import find_code
from attnmass.text.segmentation.csv_rows import RowFinder
from attnmass.text.segmentation.regions import Piece, Region, is_indented
from attnmass.text.segmentation.spans import fence_of, line_starts

_MIN_COLUMNS = 2
_MIN_RECORDS = 2  # lines that begin like a log's

# A date with a time, a time, syslog's date, a web server's line, the kernel's clock, or a level.
_RECORD = re.compile(
    r"[\[(<]?(?:"
    r"\d{4}[-/.]\d\d[-/.]\d\d(?:T|[ ,_]{1,2})\d\d:\d\d"
    r"|\d\d[-/.]\d\d[-/.]\d{2,4}[ ,]{1,2}\d\d:\d\d"
    r"|\d\d:\d\d:\d\d\b"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
    r"|\d{1,3}(?:\.\d{1,3}){3} \S{1,64} \S{1,64} \["
    r"| {0,8}\d{1,9}\.\d{3,9}\] "
    r"|[IWEF]\d{4} \d\d:\d\d:\d\d"
    r"|(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL)[\]>)]?(?:[:\t]| +[\[\w])"
    r")"
)
_TIMING = re.compile(
    r"(?:\d{1,3}:)?\d{1,2}:\d\d[.,]\d{1,3}[ \t]{1,9}-->[ \t]{1,9}(?:\d{1,3}:)?\d{1,2}:\d\d[.,]\d"
)
_MAX_CUE_NAME = 40
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r"""[ \t]+File "[^"]{1,400}", line \d""")
# Java, C#, JavaScript; Ruby has `from`. Brackets or a line number, so that no verse is one.
_AT = re.compile(
    r"[ \t]+(?:at|from) \S[^()\r\n]{0,400}"
    r"(?:[\w>`\]]\(|\((?:[^()\r\n]{0,300}:\d|native|<anonymous>|index \d)"
    r"|:\d+(?::\d+)?[ \t]*$|:\d+:in |:line \d)"
    r"|[ \t]*\.\.\. \d{1,9} (?:more|common frames)"
    r"|[ \t]*(?:Caused by|Suppressed): ?[\w$.]"
)
_GOROUTINE = re.compile(r"goroutine \d{1,19} \[[^\]]{1,100}\]:$")


def find_regions(text: str) -> list[tuple[int, int, Region]]:
    """Runs of whole lines that are not prose, in order; nothing inside a code fence is one.

    Args:
        text: All of a chunk. Where its fences are not in pairs, nothing is looked for: which lines
            are inside of one is not known.

    Returns:
        Of each its `[start, end)` in characters, and its lines.
    """
    starts = line_starts(text)
    lines = [text[a:b].rstrip("\r\n") for a, b in pairwise(starts)]
    outside = _outside_fences(lines)
    if outside is None:
        return []
    records = [_RECORD.match(line) is not None for line in lines]
    code = find_code(lines, [out and not log for out, log in zip(outside, records, strict=True)])
    rows = RowFinder(lines)
    found: list[tuple[int, int, Region]] = []
    line = 0
    while line < len(lines):
        region = None
        if outside[line] and lines[line].strip():
            region = code.get(line) or _region_at(lines, line, rows)
        if region is None or not all(outside[line : region.last]):
            line += 1
            continue
        found.append((starts[line], starts[region.last], region))
        line = region.last
    return found


def _region_at(lines: Sequence[str], line: int, rows: RowFinder) -> Region | None:
    """What begins with this line."""
    table = rows.at(line)
    log = _log(lines, line)
    # A log has a comma in its times as a rule.
    if table and (log is None or rows.columns > _MIN_COLUMNS):
        return table
    return _subtitles(lines, line) or log or _trace(lines, line)


def _outside_fences(lines: Sequence[str]) -> list[bool] | None:
    """For each line whether it is in no fence; `None` where fences are not in pairs."""
    outside: list[bool] = []
    fence = ""
    for line in lines:
        mark, info = fence_of(line.lstrip(" \t>")) or ("", "")
        outside.append(not fence and not mark)
        if fence and mark.startswith(fence):
            if info:  # what opens inside of a fence: all of this is inside out
                return None
            fence = ""
        elif mark and not fence:
            fence = mark
    return None if fence else outside


def _subtitles(lines: Sequence[str], first: int) -> Region | None:
    """Cues: a number or name on a line of its own or none, the times, the text."""
    pieces: list[Piece] = []
    line = first
    while (timing := _timing_line(lines, line)) is not None:
        end = timing + 1
        while end < len(lines) and lines[end].strip() and _timing_line(lines, end) is None:
            end += 1
        pieces.append(Piece(line, end, "sentence"))
        line = _next_text(lines, end)
    return Region(first, pieces[-1].last, tuple(pieces)) if pieces else None


def _timing_line(lines: Sequence[str], line: int) -> int | None:
    """The line with the times of the cue that begins with this one."""
    if line < len(lines) and _TIMING.match(lines[line]):
        return line
    named = line + 1 < len(lines) and 0 < len(lines[line].strip()) <= _MAX_CUE_NAME
    return line + 1 if named and _TIMING.match(lines[line + 1]) else None


def _next_text(lines: Sequence[str], line: int) -> int:
    while line < len(lines) and not lines[line].strip():
        line += 1
    return line


def _log(lines: Sequence[str], first: int) -> Region | None:
    """Records, each with the indented lines and the stack trace that belong to it."""
    pieces: list[Piece] = []
    records = 0
    line = first
    while line < len(lines):
        if _is_record(lines[line]):
            pieces.append(Piece(line, line + 1, "code"))
            records += 1
            line += 1
        elif not pieces:
            return None
        elif trace := _trace(lines, line):
            pieces += trace.pieces
            line = trace.last
        elif is_indented(lines[line]):
            pieces[-1] = pieces[-1].until(line + 1)
            line += 1
        else:
            after = _next_text(lines, line)
            if after == line or after >= len(lines) or not _is_record(lines[after]):
                break
            line = after
    if records < _MIN_RECORDS:
        return None
    return Region(first, pieces[-1].last, tuple(pieces))


def _is_record(line: str) -> bool:
    return _RECORD.match(line) is not None


def _trace(lines: Sequence[str], first: int) -> Region | None:
    """A stack trace: each frame is a piece, and so is what was raised."""
    if lines[first].strip() == _TRACEBACK:
        return _python_trace(lines, first)
    if _GOROUTINE.match(lines[first]):
        return _by_indent(lines, first)
    if first + 1 < len(lines) and _AT.match(lines[first + 1]) and lines[first].strip():
        last = first + 1
        while last < len(lines) and _AT.match(lines[last]):
            last += 1
        pieces = tuple(Piece(line, line + 1, "code") for line in range(first, last))
        return Region(first, last, pieces)
    return None


def _python_trace(lines: Sequence[str], first: int) -> Region | None:
    """Python's: its heading goes with the first frame, what was raised stands by itself."""
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
    """Each line with the indented ones below it, up to a blank one."""
    pieces = [Piece(first, first + 1, "code")]
    line = first + 1
    while line < len(lines) and lines[line].strip():
        if is_indented(lines[line]):
            pieces[-1] = pieces[-1].until(line + 1)
        else:
            pieces.append(Piece(line, line + 1, "code"))
        line += 1
    return Region(first, line, tuple(pieces))
