"""Code without a fence around it, by its lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attnmass.text.segmentation.regions import Piece, Region, is_indented
from attnmass.text.segmentation.sentences import ends_sentence

_MIN_LINES = 3  # that cannot be anything else
_MAX_BLANK = 2  # lines in a row inside code
_CLOSERS = frozenset("{}[](); ,")
_COMMENT = ("#", "//", "/*", "*/", "* ", '"""', "'''", "--", "; ")
_PROSE = {"/*": "*/", '"""': '"""', "'''": "'''"}
_MAX_WEAK = 100  # characters of a line between others that could be prose

# A name directly before a bracket: in prose there is a space.
_CALL = re.compile(r"[^()]{0,200}[\w\]>]\(")
_NAMES = re.compile(
    r"[$@%*&]*[\w.$%\[\]'\"<>*&:,()]+(?: [\w.$%\[\]'\"<>*&:,()]+){0,3}|[\w.-]{1,100}"
)
_IMPORT = re.compile(
    r"import (?:static )?[\w.*/]+(?: as \w+)?(?:, ?[\w.]+)*;?$"
    r"|import .{1,200} from [\"'].{1,200}[\"'];?$|import [\"'({]"
    r"|from [\w.]+ import [\w*(]"
    r"|(?:using|package|namespace|use) [\w.:]+(?:\.\*|::\{.{0,200})?;$"
    r"|package [\w.]+$|#(?:include|define|ifdef|ifndef|pragma)\b"
)
_BLOCK = re.compile(
    r"(?:async )?(?:def|class|if|elif|else|for|while|with|try|except|finally|switch|case|match)"
    r"\b.*:(?: *#.*)?$"
)
_STATEMENT = re.compile(
    r"(?:return|raise|throw|yield|await|del|assert|new|echo|let|const|var|case)\b.{0,400}[;)\]}\"']$"
    r"|(?:return|raise|break|continue|pass|end|fi|done|esac)(?: [\w.]+)?;?$"
)
# Words of SQL and of Dockerfiles, which prose does not write in capitals at a line's start.
_WORDS = re.compile(
    r"(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|TRUNCATE|LOCK|UNLOCK|GRANT|FROM"
    r"|WHERE|GROUP BY|ORDER BY|HAVING|LIMIT|UNION|RETURNING|VALUES|(?:(?:LEFT|RIGHT|INNER|OUTER"
    r"|FULL|CROSS) ){0,2}JOIN|SET|RUN|CMD|COPY|ADD|WORKDIR|ENV|EXPOSE|ENTRYPOINT|ARG|LABEL|USER"
    r"|VOLUME|HEALTHCHECK)(?: (?=.{0,400}[^A-Z !?,]).|$|;)"
)
# A shell's prompt, its blocks, its first line; Ruby's and Elixir's blocks; C++'s; R's assignments.
_OPENING = re.compile(
    r"#!/|\$ [a-z./~]|(?:if|elif|for|while|until)\b.{0,400}; ?(?:then|do)$|(?:then|do|else)$"
    r"|(?:class|module) [A-Z][\w:]*(?: ?[<(:].{0,200})?$|(?:def|defp|defmodule) [\w.?!]+"
    r"(?:\(.{0,300}\))?(?: do)?$|\)(?: -> .{1,200})?:$|template ?<.{0,200}>$"
    r"|(?:public|private|protected):$"
    r"|[\w.$]{1,100} <- \S|@\w{1,20}\{[^\s,]{1,100},$"
    r"|[^{}\\]{1,200} \{[^{}]{0,400}\}$|[.#\w:*-]{1,100}\{[^{}:]{1,100}:[^{}]{0,400}\}$"
)
_SECTION = re.compile(r"\[{1,2}[\w .:\"'/@-]{1,100}\]{1,2}$")
_DECORATOR = re.compile(r"@[\w.]+(?:\(.*\))?$")
_PAIR = re.compile(r"\"[^\"]{1,200}\"[ ]?:[ ]?\S")
_STRONG = (_IMPORT, _BLOCK, _STATEMENT, _WORDS, _OPENING, _DECORATOR, _PAIR)
_MARK = re.compile(r"(?:[-*+•>|<]|\d{1,9}[.)])[ \t]|[>|<]")


def is_code(line: str) -> bool:
    """Whether a line can hardly be anything but code."""
    line = line.strip()
    if not line or is_marked(line):
        return False
    end = line[-1]
    if _CLOSERS.issuperset(line) or (end == "{" and len(line) > 1):
        return True
    if end in "([);:,{}" and _CALL.match(line):
        return True
    if end == ";" and " " not in line:
        return True
    return _assigns(line) or any(pattern.match(line) for pattern in _STRONG)


def is_marked(line: str) -> bool:
    """Whether a line begins as an item, a quotation, a table row or a tag does."""
    return _MARK.match(line) is not None


def find_code(lines: Sequence[str], outside: Sequence[bool]) -> dict[int, Region]:
    """Runs of code by their first line: three lines that cannot be anything else, and half of all.

    Indented lines, comments, names of sections and blank lines belong to the code that they are in,
    and so does a short line between two others. Each part between blank lines is one piece. Code
    that is indented as a whole is left to Markdown.

    Args:
        lines: The lines of a text.
        outside: Whether each is outside any code fence.
    """
    found: dict[int, Region] = {}
    line = 0
    while line < len(lines):
        first = line
        strong: list[int] = []
        blank = 0
        while line < len(lines) and outside[line]:
            text = lines[line]
            if not text.strip():
                blank += 1
                if blank > _MAX_BLANK:
                    break
            elif is_code(text):
                strong.append(line)
                blank = 0
            elif is_indented(text) or text.startswith(_COMMENT) or _SECTION.match(text):
                blank = 0
            elif not _is_between(lines, line, first):
                break
            line += 1
        if region := _region(lines, first, line, strong):
            found[region.first] = region
        line = max(line, first + 1)
    return found


def _is_between(lines: Sequence[str], line: int, first: int) -> bool:
    """Whether there are lines of code, or indented ones, directly above and below one."""
    text = lines[line].strip()
    if len(text) > _MAX_WEAK or is_marked(text) or ends_sentence(text) or line == first:
        return False
    return all(
        is_code(other) or is_indented(other)
        for other in (lines[line - 1], *(lines[line + 1 : line + 2] or [""]))
    )


def _region(lines: Sequence[str], first: int, last: int, strong: Sequence[int]) -> Region | None:
    if len(strong) < _MIN_LINES:
        return None
    # Comments directly above the first line and indented lines directly below the last belong to
    # them; what a blank line separates from them does not.
    start, end = strong[0], strong[-1] + 1
    while start > first and lines[start - 1].strip():
        start -= 1
    # An indented line may be in an item of a list, unless the text begins with it.
    while start < end and start and not _begins(lines[start]):
        start += 1
    while end < last and lines[end].strip():
        end += 1
    texts = _outside_comments([line for line in lines[start:end] if line.strip()])
    strong = [line for line in strong if line >= start]
    if len(strong) < _MIN_LINES or 2 * len(strong) < len(texts):
        return None
    if all(line.startswith(("    ", "\t")) for line in texts):
        return None
    pieces: list[Piece] = []
    for line in range(start, end):
        if not lines[line].strip():
            continue
        if pieces and pieces[-1].last == line:
            pieces[-1] = pieces[-1].until(line + 1)
        else:
            pieces.append(Piece(line, line + 1, "code"))
    return Region(start, end, tuple(pieces))


def _outside_comments(lines: Sequence[str]) -> list[str]:
    """The lines without those between the marks of comments and docstrings, which are prose."""
    found: list[str] = []
    opened = 0  # how many were found before the currently open comment
    closing = ""
    for line in lines:
        found.append(line)
        if closing and closing in line:
            del found[opened:]
            closing = ""
        elif not closing:
            for mark, end in _PROSE.items():
                if line.lstrip().startswith(mark) and end not in line.lstrip()[len(mark) :]:
                    opened, closing = len(found), end
    return found


def _begins(line: str) -> bool:
    return bool(line.strip()) and not is_indented(line)


def _assigns(line: str) -> bool:
    """Whether a line sets something: few names, an equals sign, a value."""
    left, sign, value = line.partition("=")
    if not sign or not value.strip() or len(left) > 200:
        return False
    return _NAMES.fullmatch(left.rstrip(" :+-*/|&^%?!<>")) is not None
