"""Prose as spans: paragraphs, the lines in them that mark where something begins, sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from attnmass.text.segmentation.blocks import Block
from attnmass.text.segmentation.sentences import ends_sentence, split_sentences
from attnmass.text.segmentation.spans import LINE_END, MAX_TITLE, Kind, Span, line_starts, stripped

# A "sentence" of several lines that is longer than this is a log, a table without rules or a poem
# without full stops: its lines are spans.
_MAX_WRAPPED = 600
# Nobody wraps lines more narrowly than this, so a line of a narrower block is as long as its writer
# wanted it to be.
_MIN_WIDTH = 40
# Nor more widely: a paragraph with a longer line is not wrapped at all.
_MAX_WIDTH = 120
# Where a language has no spaces, a line may end after any character, not only after a word.
_MAX_WORD = 20

# `\r(?!\n)`, or the two halves of "\r\n" would pass for two line ends.
_BLANK_LINES = re.compile(r"(?:\r\n|\r(?!\n)|\n)(?:[^\S\r\n]*(?:\r\n|\r(?!\n)|\n))+")
_BULLET = re.compile(r"[^\S\r\n]*(?:[•‣\u2043◦▪▫●○■□∙➢➤►▶✓✔✗✘]|[-*+](?=\s))\s*\S")
_NUMBER = re.compile(r"(?:\A|(?<=[\r\n]))[^\S\r\n]*(\d{1,3})[.)][^\S\r\n]+\S")
_DASH = re.compile(r"[^\S\r\n]*[\u2012-\u2015]\s*(\S)")
# A speaker or the name of a field: one word, or up to four that begin with a capital.
_LABEL = re.compile(
    r"(?:[^\W\d_][\w.'/&-]{0,39}"
    r"|[^a-z\W\d_][\w.'/&-]{0,20}(?: (?:[\w.'/&-]{1,20}|\([\w.'/&-]{1,20}\))){1,3}):(?=\s|\Z)"
)
_MIN_LABELS = 2
_WORD = re.compile(r"[^\W_]")
# Commas and semicolons, Western, Arabic and Chinese; a hyphen or dash, a bracket, a slash.
_GOES_ON = tuple(",;-(/،؛、\uff0c\uff1b\u2013\u2014")


def split_prose(text: str, block: Block, language: str | None) -> Iterator[Span]:
    """Spans of a block of prose; between them is white space and what is in `block.marks`.

    A line break is no more than a space, except before a line that begins with a bullet or with a
    number that others continue from (in Markdown, no list begins within a paragraph with 2), and
    before one that begins with a dash and no lower-case letter after it, as in a dialogue, or with
    a name and a colon, if the paragraph's first line does, too. What follows a bullet or number is
    one span, up to the next such line or the end of the paragraph.

    Args:
        text: The text that the block is in.
        block: The block.
        language: See `split_sentences`.
    """
    masked = _masked(text, block)
    for start, end in _paragraphs(masked):
        paragraph = masked[start:end]
        for kind, first, last in _units(paragraph):
            pieces = [(first, last)]
            if kind == "sentence":
                pieces = [
                    piece
                    for left, right in split_sentences(paragraph[first:last], language)
                    for piece in _lines_if_long(paragraph, first + left, first + right)
                ]
            for left, right in pieces:
                left, right = stripped(masked, start + left, start + right)
                if left < right:
                    yield Span(block.start + left, block.start + right, kind, quote=block.quote)


def title_end(text: str, start: int, end: int) -> int | None:
    """Where the title ends that a text's first block begins with; `None` if there is none.

    A title is a first line with more text after it that

    - has at most `MAX_TITLE` characters, with a letter or digit among them,
    - does not end as a sentence does, nor with a comma, semicolon or hyphen,
    - is not a bullet, dialogue or table row, and does not begin with a lower-case word, as the rest
      of a broken sentence would,
    - was ended on purpose: the next word would have fitted into the width of the paragraph, and is
      not lower-case unless a line of the paragraph is too long for wrapped text.

    Args:
        text: The text.
        start: Where its first block begins.
        end: Where that block ends.
    """
    first, stop = stripped(text, start, end)
    blank = _BLANK_LINES.search(text, first, stop)
    paragraph = text[first : stop if blank is None else blank.start()]
    lines = [line.strip() for line in LINE_END.split(paragraph)]
    line = lines[0]
    after = text[first + len(line) :].lstrip()
    if not after or len(line) > MAX_TITLE or not _WORD.search(line) or line.endswith(_GOES_ON):
        return None
    if _BULLET.match(line) or _DASH.match(line) or _begins_small(line):
        return None
    if (
        ends_sentence(line)
        or _is_table(paragraph)
        or 0 in _numbered(paragraph) | _labelled(paragraph)
    ):
        return None
    width = max(_MIN_WIDTH, *(len(other) for other in lines))
    if width <= _MAX_WIDTH and _begins_small(after):
        return None
    if len(lines) > 1 and len(line) + 1 + len(lines[1].split(None, 1)[0][:_MAX_WORD]) > width:
        return None
    return first + len(line)


def _masked(text: str, block: Block) -> str:
    """The block with spaces in place of its marks: as long as before."""
    parts: list[str] = []
    place = block.start
    for start, end in block.marks:
        parts += [text[place:start], " " * (end - start)]
        place = end
    return "".join([*parts, text[place : block.end]])


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """What is between blank lines."""
    start = 0
    for blank in _BLANK_LINES.finditer(text):
        yield start, blank.start()
        start = blank.end()
    yield start, len(text)


def _units(paragraph: str) -> Iterator[tuple[Kind, int, int]]:
    """What a paragraph has on separate lines, and the prose between."""
    if _is_table(paragraph):
        yield "table", 0, len(paragraph)
        return
    start = 0
    kind: Kind = "sentence"
    line = 0
    numbered = _numbered(paragraph)
    labelled = _labelled(paragraph)
    while line < len(paragraph):
        dash = _DASH.match(paragraph, line)
        bullet = line in numbered or _BULLET.match(paragraph, line) is not None
        spoken = line in labelled or (dash is not None and not dash[1].islower())
        if bullet or spoken:
            if line > start:
                yield kind, start, line
            start = line
            kind = "list_item" if bullet else "sentence"
        line_end = LINE_END.search(paragraph, line)
        line = len(paragraph) if line_end is None else line_end.end()
    yield kind, start, len(paragraph)


def _numbered(paragraph: str) -> set[int]:
    """Where lines begin that continue each other's count: `2.` and `3.`, but not `3.` by itself."""
    found = [(match.start(), int(match[1])) for match in _NUMBER.finditer(paragraph)]
    counting: set[int] = set()
    for (start, number), (next_start, next_number) in pairwise(found):
        if next_number == number + 1:
            counting |= {start, next_start}
    return counting


def _labelled(paragraph: str) -> set[int]:
    """Where lines begin with a name and a colon, in a paragraph that begins so and has several.

    The same name twice is a title and the sentence that repeats it.
    """
    if _LABEL.match(paragraph) is None:
        return set()
    found = {start: _LABEL.match(paragraph, start) for start in line_starts(paragraph)[:-1]}
    labels = {start: label[0] for start, label in found.items() if label is not None}
    return set(labels) if len(set(labels.values())) >= _MIN_LABELS else set()


def _is_table(paragraph: str) -> bool:
    """Whether these are rows of a table whose head is in another chunk.

    The first row may have lost its beginning.
    """
    if "|" not in paragraph:
        return False
    first, *others = LINE_END.split(paragraph.strip())
    if not others:
        return len(first) > 2 and first[0] == first[-1] == "|"
    return "|" in first and all(line.lstrip().startswith("|") for line in others)


def _lines_if_long(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The piece, or its lines if it cannot be one sentence."""
    if end - start > _MAX_WRAPPED:
        for line_end in LINE_END.finditer(text, start, end):
            yield start, line_end.start()
            start = line_end.end()
    yield start, end


def _begins_small(text: str) -> bool:
    """Whether the first word, after a dash or none, is lower-case (not `iPhone`)."""
    dash = _DASH.match(text)
    word = text[0 if dash is None else dash.start(1) :].split(None, 1)[0]
    return word[0].islower() and word == word.lower()
