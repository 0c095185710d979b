"""No span is endless: what is too large to be kept whole is cut where that does the least harm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from attnmass.text.segmentation.places import place_without_space
from attnmass.text.segmentation.sentences import split_sentences
from attnmass.text.segmentation.spans import (
    BELOW_HEADINGS,
    LINE_END,
    MAX_SENTENCE,
    MAX_SPAN,
    Span,
    fence_of,
    stripped,
)

Place = tuple[int, int]

# The end of a block in HTML, or of an entry in XML, with those around it that also end there.
_CLOSING = re.compile(
    r"(?:</(?:p|li|tr|div|h[1-6]|d[dtl]|[ou]l|table|t(?:head|body|foot)|pre|blockquote|title|head"
    r"|style|script|section|article|aside|header|footer|nav|main|form|option|select|figure|body"
    r"|html|item|entry|record|row|url)>\s{0,100})+",
    re.IGNORECASE,
)
Step = Callable[[str, int, int], Iterable[Place]]


def bounded(text: str, span: Span, language: str | None) -> list[Span]:
    """A span, or what it is cut into where it is too large.

    A sentence may have `MAX_SENTENCE` characters, anything else `MAX_SPAN`.

    A block is cut at its blank lines, what is still too large at its lines, HTML at its tags, then
    at the ends of sentences, then at white space, or after a mark; list items and sentences are not
    cut at lines, which may be wrapped. A heading that is too large heads nothing and is not a
    heading. Lines without a letter or digit and the marks of a fence go with the line next to them.
    The head of a table that is cut heads its rows.
    """
    most = MAX_SENTENCE if span.kind == "sentence" else MAX_SPAN
    if span.end - span.start <= most:
        return [span]
    kind = "sentence" if span.kind == "heading" else span.kind
    steps: list[Step] = []
    if kind in ("code", "html", "table"):
        steps = [_lines] if kind == "table" else [_paragraphs, _lines]
        steps += [_elements] if kind == "html" else []
    places = [(span.start, span.end)]
    steps += [partial(_sentences, language=language), partial(_words, most=most)]
    for step in steps:
        places = [
            piece
            for start, end in places
            for piece in (step(text, start, end) if end - start > most else [(start, end)])
        ]
    found = [replace(span, start=start, end=end, kind=kind, level=0) for start, end in places]
    if kind == "table" and "|" in text[slice(*places[0])] and _is_rule(text, places[1:2]):
        # The head and the rule below it, as one; the rows come under it.
        head = replace(span, end=places[1][1], kind="heading", level=BELOW_HEADINGS, until=span.end)
        if head.end - head.start <= MAX_SPAN:
            return [head, *found[2:]]
    return found


def _paragraphs(text: str, start: int, end: int) -> list[Place]:
    """What is between blank lines."""
    found: list[Place] = []
    for left, right in _all_lines(text, start, end):
        left, right = stripped(text, left, right)
        if left == right:
            continue
        if found and not _has_blank_line(text, found[-1][1], left):
            found[-1] = (found[-1][0], right)
        else:
            found.append((left, right))
    return found


def _lines(text: str, start: int, end: int) -> list[Place]:
    """Lines that are not blank, each with any next to it that have no letter or digit."""
    found: list[Place] = []
    alone = False  # the last piece waits for a line to go with
    for left, right in _all_lines(text, start, end):
        left, right = stripped(text, left, right)
        if left == right:
            continue
        line = text[left:right]
        opens = fence_of(line) is not None and not found
        mark = opens or not any(map(str.isalnum, line))
        fits = bool(found) and right - found[-1][0] <= MAX_SPAN
        if fits and (alone or (mark and "|" not in line)):
            found[-1] = (found[-1][0], right)
            alone = alone and mark
        else:
            found.append((left, right))
            alone = mark and len(found) == 1
    return found


def _elements(text: str, start: int, end: int) -> Iterator[Place]:
    """What ends with the tag that closes a paragraph, an item, a row or another block."""
    place = start
    for tag in _CLOSING.finditer(text, start, end):
        left, right = stripped(text, place, tag.end())
        yield left, right
        place = tag.end()
    left, right = stripped(text, place, end)
    if left < right:
        yield left, right


def _sentences(text: str, start: int, end: int, *, language: str | None) -> list[Place]:
    found = split_sentences(text[start:end], language)
    return [(start + left, start + right) for left, right in found]


def _words(text: str, start: int, end: int, *, most: int) -> Iterator[Place]:
    """As many whole words as fit at a time; a longer word is cut between characters."""
    while end - start > most:
        stop = start + most
        if not text[stop].isspace():
            cut = next((i for i in range(stop, start, -1) if text[i - 1].isspace()), None)
            stop = cut or place_without_space(text, start, stop)
        left, right = stripped(text, start, stop)
        if left < right:
            yield left, right
        start = stop
    left, right = stripped(text, start, end)
    if left < right:
        yield left, right


def _all_lines(text: str, start: int, end: int) -> Iterator[Place]:
    for found in LINE_END.finditer(text, start, end):
        yield start, found.start()
        start = found.end()
    yield start, end


def _has_blank_line(text: str, start: int, end: int) -> bool:
    return sum(1 for _ in LINE_END.finditer(text, start, end)) > 1


def _is_rule(text: str, places: list[Place]) -> bool:
    """Whether that is the line of dashes below a table's head."""
    return bool(places) and set(text[slice(*places[0])]) <= set("|-: \t")
