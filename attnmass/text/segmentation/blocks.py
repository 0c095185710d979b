"""Markdown's blocks as ranges of characters, by `markdown-it-py`."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from markdown_it import MarkdownIt
from markdown_it.token import Token

from attnmass.text.segmentation.sentences import ends_sentence
from attnmass.text.segmentation.spans import (
    LINE_END,
    MAX_TITLE,
    Kind,
    fence_of,
    line_starts,
    readable,
)

# Blocks only: what is inside a line never moves a boundary, and not looking there is what keeps
# hostile text cheap. Link reference definitions would vanish without a token; with that rule off,
# they are paragraphs.
_PARSER = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join", "reference"])

_KINDS: dict[str, Kind] = {
    "code_block": "code",
    "fence": "code",
    "hr": "rule",
    "html_block": "html",
    "table_open": "table",
}
_LISTS = ("bullet_list_open", "ordered_list_open")
_PARAGRAPH = {"paragraph_open", "inline", "paragraph_close"}

_QUOTE_MARK = re.compile(r"[ \t]*>")
_NUMBER = re.compile(r"[ \t]*\d{1,9}[.)]")
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole lines of the text.

    Attributes:
        start: Where the first line begins.
        end: Where the line after the last one begins.
        kind: The kind of span that the block is, or `None`: prose, to be split.
        level: The level of a heading, 1 to 6.
        quote: How many block quotes it is in.
        marks: Ranges that are Markdown marks inside prose, in order.
    """

    start: int
    end: int
    kind: Kind | None = None
    level: int = 0
    quote: int = 0
    marks: tuple[tuple[int, int], ...] = ()

    def moved(self, by: int) -> Block:
        """The block in a text with `by` more characters before it."""
        marks = tuple((start + by, end + by) for start, end in self.marks)
        return replace(self, start=self.start + by, end=self.end + by, marks=marks)


def markdown_blocks(text: str) -> list[Block]:
    """The blocks of a text, in order; a line that is in none has no letter or digit in it.

    The text may begin and end anywhere: code, a table or a list may have begun before it or
    continue after it.
    """
    source = readable(text)
    tokens = _PARSER.parse(source)
    cut = _end_of_code(source, tokens)
    if not cut:
        return _Reader(source).blocks(tokens)
    return [Block(0, cut, "code"), *_Reader(source, cut).blocks(_PARSER.parse(source[cut:]))]


class _Reader:
    """Locates the parser's tokens in one text."""

    def __init__(self, text: str, begin: int = 0) -> None:
        """Take the text from `begin` on, where the first line of the tokens is."""
        self._text = text
        self._begin = begin
        self._starts = [begin + start for start in line_starts(text[begin:])]

    def blocks(self, tokens: Sequence[Token]) -> list[Block]:
        """All blocks; what the parser passes over, as it does in very deep nesting, is prose."""
        found: list[Block] = []
        covered = self._begin
        for block in self._parsed(tokens):
            found += self._passed_over(covered, block.start)
            found.append(block)
            covered = block.end
        return found + self._passed_over(covered, len(self._text))

    def _parsed(self, tokens: Sequence[Token]) -> Iterator[Block]:
        quote = 0
        place = 0
        while place < len(tokens):
            token = tokens[place]
            if token.type.startswith("blockquote"):
                quote += token.nesting
                place += 1
                continue
            end = _after(tokens, place)
            if end < len(tokens) and _is_first_line_of(token, tokens[end]):
                start, stop = self._range(token)[0], self._range(tokens[end])[1]
                yield self._prose(start, stop, quote)
                end = _after(tokens, end)
            else:
                yield from self._blocks(tokens[place:end], quote)
            place = end

    def _blocks(self, tokens: Sequence[Token], quote: int) -> list[Block]:
        """Blocks of one token and all that is inside it."""
        token = tokens[0]
        start, end = self._range(token)
        if token.type in _LISTS:
            return self._items(tokens, quote)
        if token.type == "heading_open":
            return self._heading(token, tokens[1].content, quote)
        kind = _KINDS.get(token.type)
        # Indented prose is more common than code that ends as a sentence does.
        if kind is None or (token.type == "code_block" and ends_sentence(token.content)):
            return [self._prose(start, end, quote)]
        return [Block(start, end, kind, quote=quote)]

    def _items(self, tokens: Sequence[Token], quote: int) -> list[Block]:
        """One block for each item of a list; lists inside an item are part of it."""
        level = tokens[0].level + 1
        items = [
            token for token in tokens if token.type == "list_item_open" and token.level == level
        ]
        plain = _PARAGRAPH.issuperset(token.type for token in tokens[2:-2])
        # "1986. A great year." is a list of one item to Markdown, and prose to everyone else.
        if len(items) == 1 and items[0].info not in ("", "0", "1") and plain:
            return [self._prose(*self._range(items[0]), quote, numbered=True)]
        blocks = [Block(*self._range(item), "list_item", quote=quote) for item in items]
        if quote:
            # Blank lines after an item count as part of it, and in a quote they have marks.
            blocks = [replace(block, end=self._last_text(block)) for block in blocks]
        return blocks

    def _last_text(self, block: Block) -> int:
        """Where the line begins that follows the last one with more than marks of a quote."""
        line = bisect_left(self._starts, block.end)
        while self._starts[line - 1] > block.start:
            if self._text[self._starts[line - 1] : self._starts[line]].strip(" \t\r\n>"):
                break
            line -= 1
        return self._starts[line]

    def _heading(self, token: Token, content: str, quote: int) -> list[Block]:
        """A heading, or the prose that happens to be above a line of dashes, and that line."""
        start, end = self._range(token)
        if token.markup in "=-":
            several = "\n" in content
            sentence = token.markup == "-" and ends_sentence(content)
            if several or sentence or len(content) > MAX_TITLE:
                line = self._starts[_lines(token)[1] - 1]
                return [self._prose(start, line, quote), Block(line, end, "rule", quote=quote)]
        return [Block(start, end, "heading", int(token.tag[1:]), quote)]

    def _prose(self, start: int, end: int, quote: int, *, numbered: bool = False) -> Block:
        marks = list(_quote_marks(self._text, start, end, quote))
        if numbered:
            line = marks.pop(0)[1] if marks and marks[0][0] == start else start
            number = _NUMBER.match(self._text, line, end)
            marks.insert(0, (start, line if number is None else number.end()))
        return Block(start, end, None, quote=quote, marks=tuple(marks))

    def _passed_over(self, start: int, end: int) -> list[Block]:
        return [Block(start, end)] if _WORD.search(self._text, start, end) else []

    def _range(self, token: Token) -> tuple[int, int]:
        first, last = _lines(token)
        return self._starts[first], self._starts[min(last, len(self._starts) - 1)]


def _lines(token: Token) -> tuple[int, int]:
    """First line of a block and the line after its last one."""
    first, last = token.map or (0, 0)
    return first, last


def _after(tokens: Sequence[Token], place: int) -> int:
    """The place after a token and all that is inside it."""
    opening = tokens[place]
    if opening.nesting == 1:
        while tokens[place].nesting != -1 or tokens[place].level != opening.level:
            place += 1
    return place + 1


def _is_first_line_of(token: Token, after: Token) -> bool:
    """Whether an "indented code block" is the indented first line of the paragraph after it."""
    if token.type != "code_block" or after.type != "paragraph_open":
        return False
    first, last = _lines(token)
    return last - first == 1 and last == _lines(after)[0]


def _quote_marks(text: str, start: int, end: int, quote: int) -> Iterator[tuple[int, int]]:
    """Where the lines of a range begin with the marks of `quote` block quotes, or fewer."""
    line = start
    while quote and line < end:
        place = line
        for _ in range(quote):
            mark = _QUOTE_MARK.match(text, place, end)
            if mark is None:
                break
            place = mark.end()
        if place > line:
            yield line, place
        line_end = LINE_END.search(text, place, end)
        line = end if line_end is None else line_end.end()


def _end_of_code(text: str, tokens: Sequence[Token]) -> int:
    """Where the code ends that the text begins in the middle of; 0 if it does not.

    In that case the first fence, which the parser takes for an opening one, closes, and all after
    it comes out inverted: some fence is left open or contains the opening line of another. A
    closing fence has code directly above it and, as a rule, a blank line below it.
    """
    fences = [token for token in tokens if token.type == "fence" and token.level == 0]
    if not fences or fences[0].info.strip():
        return 0
    lines = LINE_END.split(text)
    inside_out = any(not _closes(lines[_lines(fence)[1] - 1], fence) for fence in fences) or any(
        (found := fence_of(line)) and found[1] for line in fences[0].content.split("\n")
    )
    first = _lines(fences[0])[0]
    if not inside_out or first == 0:
        return 0
    above, below = lines[first - 1].strip(), "".join(lines[first + 1 : first + 2]).strip()
    if not above or below or above.endswith(":") or ends_sentence(above):
        return 0
    return line_starts(text)[first + 1]


def _closes(line: str, fence: Token) -> bool:
    first, last = _lines(fence)
    found = fence_of(line)
    if last - first < 2 or found is None or found[1]:
        return False
    return found[0].startswith(fence.markup)
