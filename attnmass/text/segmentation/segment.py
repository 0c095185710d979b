"""A text as spans in order, each with the headings that it stands under."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from attnmass.text.segmentation.blocks import Block, markdown_blocks
from attnmass.text.segmentation.prose import split_prose, title_end
from attnmass.text.segmentation.spans import Kind, Span, readable, stripped


@dataclass(frozen=True, slots=True)
class Segment:
    """A span that is kept or dropped whole.

    Attributes:
        start: First character, in characters of the text.
        end: One past the last character.
        kind: `sentence` for a sentence or what is as small as prose gets; `heading` for a heading
            or the title on the first line; `code`, `table` and `html` for a whole block;
            `list_item` for an item with all that is nested in it; `rule` for a thematic break.
        headings: Indices, in the sequence that this segment is in, of the headings that it stands
            under, outermost first. A heading has those above it.
    """

    start: int
    end: int
    kind: Kind
    headings: tuple[int, ...] = ()


def segment(
    text: str, *, language: str | None = None, markdown: bool = True
) -> tuple[Segment, ...]:
    """Cut a text into spans.

    The spans are in order, do not overlap, and are never empty; a span has no white space at
    either end, and between two spans, before the first and after the last there is nothing but
    white space (as `str.isspace` has it). Marks that belong to no block of their own, such as a
    `>` on an empty line, go to the span after them, at the end of the text to the last one.

    Sentences are those of `sentencex`, blocks those of CommonMark with GitHub's tables, with these
    exceptions, because a chunk is cut out of a document and is not always Markdown:

    - The first line of the text is a `heading` if it looks like a title (see `prose.title_end`).
    - Indented code that ends as a sentence does, or is one line with a paragraph straight below
      it, is prose; so is a list of one item with another number than 0 or 1 (a year, a date),
      and several lines, or a sentence, with a line of dashes below them.
    - Rows of a table without its head are a `table`, and code whose opening fence is missing is
      `code`.
    - In a paragraph, a line that begins with a bullet such as `•`, or with one of several numbers
      in a row, begins a `list_item`, one that begins with a dash and a capital a new sentence.
    - Definitions of links and footnotes are prose, not markup that is gone.
    - In Thai, Lao, Khmer and Tibetan a `sentence` is a phrase between white space: sentencex has
      no rules for them.
    - What sentencex finds no end to for 600 characters over several lines is cut into its lines;
      for 4,000 characters, at white space.

    Args:
        text: The text; any `str`, lone surrogates included.
        language: Code of the language, such as `de`; it decides on abbreviations, and on little
            else. `None` goes by the script, paragraph by paragraph: Latin is English, Cyrillic
            Russian, and so on (see `sentences.detect_language`).
        markdown: Whether Markdown counts. If not, the whole text is prose.
    """
    spans = list(_spans(readable(text), language, markdown))
    return tuple(_under_headings(_closed(text, spans)))


def _spans(text: str, language: str | None, markdown: bool) -> Iterator[Span]:
    blocks = markdown_blocks(text) if markdown else [Block(0, len(text))]
    if blocks and blocks[0].kind is None and not blocks[0].marks:
        first = blocks[0]
        end = title_end(text, first.start, first.end)
        if end is not None:
            yield Span(*stripped(text, first.start, end), "heading")
            blocks[0] = replace(first, start=end)
    for block in blocks:
        if block.kind is None:
            yield from split_prose(text, block, language)
        else:
            start, end = stripped(text, block.start, block.end)
            if start < end:
                yield Span(start, end, block.kind, block.level, block.quote)


def _closed(text: str, spans: list[Span]) -> list[Span]:
    """The spans with what is left between them but is not white space."""
    closed: list[Span] = []
    covered = 0
    for span in spans:
        start, end = stripped(text, covered, span.start)
        closed.append(replace(span, start=start) if start < end else span)
        covered = span.end
    start, end = stripped(text, covered, len(text))
    if start < end:
        last = closed.pop() if closed else Span(start, end, "sentence")
        closed.append(replace(last, end=end))
    return closed


def _under_headings(spans: list[Span]) -> Iterator[Segment]:
    # One chain of (level, index) for the text and for each block quote that is open: a heading
    # inside a quote heads nothing outside of it.
    open_quotes: list[list[tuple[int, int]]] = [[]]
    for index, span in enumerate(spans):
        del open_quotes[span.quote + 1 :]
        while len(open_quotes) <= span.quote:
            open_quotes.append(list(open_quotes[-1]))
        chain = open_quotes[-1]
        if span.kind == "heading":
            while chain and chain[-1][0] >= span.level:
                chain.pop()
        yield Segment(span.start, span.end, span.kind, tuple(place for _, place in chain))
        if span.kind == "heading":
            chain.append((span.level, index))
