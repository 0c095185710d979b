"""Records: lines of a log, a chat or a transcript, and what belongs to each of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attnmass.text.segmentation.regions import Piece, Region, is_indented, next_text
from attnmass.text.segmentation.traces import find_trace

_MIN_RECORDS = 2
_MAX_MESSAGE = 20  # lines of a record that are not indented

_DATE = (
    r"(?:\d{4}[-/.]\d\d[-/.]\d\d|\d{1,2}[-/.](?:\d{1,2}|[A-Z][a-z]{2})[-/.]\d{2,4}"
    r"|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]?\d(?:, \d{4})?|\d\d-\d\d)"
)
# A date with a time, a time, a web server's line, the kernel's clock, seconds since 1970, a level,
# pairs that begin with a time or a level, a JSON object, a place in a file.
_RECORD = re.compile(
    r"(?:<\d{1,3}>\d? ?)?[\[(<]?(?:"
    rf"{_DATE}(?:T|[ ,_]{{1,3}})\d{{1,2}}:\d\d"
    r"|\d\d:\d\d:\d\d\b"
    r"|(?<=[\[(])\d{1,3}:\d\d(?:[.:]\d{1,3})?[\])]"
    r"|\d{1,2}:\d\d(?: ?[AaPp][Mm])? (?:[-\u2013] ?)?[<\[(]?[^\W\d_]"
    r"|\d{1,3}(?:\.\d{1,3}){3} \S{1,64} \S{1,64} \["
    r"| {0,8}\d{1,9}\.\d{3,9}\] "
    r"|1\d{9}(?:\d{3}|\.\d{1,9})? "
    r"|[IWEF]\d{4} \d\d:\d\d:\d\d"
    r"|(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL)[\]>)]?(?:[:\t]| +[\[\w])"
    r"|npm (?:ERR!|WARN|error|warn) "
    r"|(?:time|timestamp|ts|level|lvl)=[\"\w]"
    r")"
    r"|\{ ?\"[^\"]{1,100}\" ?: ?[^\r\n]*\},?[ \t]*$"
    r"|(?:[A-Za-z]:)?[\w/\\+-]{0,100}[./\\][\w./\\+-]{1,100}:\d{1,9}(?::\d{1,9})?: "
)


def is_record(line: str) -> bool:
    """Whether a line begins as a record does."""
    return _RECORD.match(line) is not None


def find_records(lines: Sequence[str], first: int) -> Region | None:
    """Records, each with its message, the indented lines and the stack trace that belong to it.

    A message may continue on further lines, up to the next record; after the last one it does not.
    """
    pieces: list[Piece] = []
    records = 0
    line = first
    while line < len(lines):
        if is_record(lines[line]):
            pieces.append(Piece(line, line + 1, "code"))
            records += 1
            line += 1
        elif not pieces:
            return None
        elif trace := find_trace(lines, line):
            pieces += trace.pieces
            line = trace.last
        elif is_indented(lines[line]):
            pieces[-1] = pieces[-1].until(line + 1)
            line += 1
        elif lines[line].strip():
            after = _after_message(lines, line)
            if after is None:
                break
            pieces[-1] = pieces[-1].until(after)
            line = after
        else:
            after = next_text(lines, line)
            if after >= len(lines) or not is_record(lines[after]):
                break
            line = after
    if records < _MIN_RECORDS:
        return None
    return Region(first, pieces[-1].last, tuple(pieces))


def _after_message(lines: Sequence[str], first: int) -> int | None:
    """The next record, with no blank line and no stack trace before it."""
    for line in range(first, min(first + _MAX_MESSAGE, len(lines))):
        if not lines[line].strip() or find_trace(lines, line):
            return line if line > first and lines[line].strip() else None
        if line > first and is_record(lines[line]):
            return line
    return None
