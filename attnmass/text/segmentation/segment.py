"""A text as spans in order, each with the headings that it is under."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from attnmass.text.segmentation.blocks import Block, markdown_blocks
from attnmass.text.segmentation.bounds import bounded
from attnmass.text.segmentation.prose import split_prose, title_end
from attnmass.text.segmentation.spans import (
    BELOW_HEADINGS,
    Kind,
    Span,
    line_starts,
    readable,
    stripped,
)
from attnmass.text.segmentation.unfenced import find_regions


@dataclass(frozen=True, slots=True)
class Segment:
    """A span that is kept or dropped whole; see `segment` for how large one may be.

    Attributes:
        start: First character, counted in characters of the text.
        end: One past the last character.
        kind: `sentence` for a sentence or what is as small as prose gets; `heading` for a heading,
            the title on the first line or the head of a table whose rows are spans; `code`,
            `table` and `html` for a block, or for a line of one that is large; `list_item` for an
            item with all that is nested in it; `rule` for a thematic break.
        headings: Indices, in the sequence that this segment is in, of the headings that it is
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
    white space (in the sense of `str.isspace`). Marks that do not belong to a block of their own,
    such as a `>` on an empty line, go to the span after them, or at the end of the text to the last
    one.

    Sentences are those of `sentencex`, blocks those of CommonMark with GitHub's tables, with these
    exceptions, because a chunk is cut out of a document and is not always Markdown:

    - The first line of the text is a `heading` if it looks like a title (see `prose.title_end`).
    - Indented code that ends as a sentence does, or is one line with a paragraph directly below it,
      is prose; so is a list of one item with a number other than 0 or 1 (a year, a date), and
      several lines, or a sentence, with a line of dashes below them.
    - Rows of a table without its head are a `table`, and code whose opening fence is missing is
      `code`.
    - In a paragraph, a line that begins with a bullet such as `•`, or with one of several numbers
      in a row, begins a `list_item`, and one that begins with a dash and a capital begins a new
      sentence.
    - Definitions of links and footnotes are prose, not markup that is gone.
    - In Thai, Lao, Khmer and Tibetan a `sentence` is a phrase between white space: sentencex has
      no rules for them.
    - What sentencex finds no end in for 600 characters over several lines is cut into its lines.
    - A full stop before a capital does not end a sentence where they are inside a name.
    - Logs, chats, stack traces, subtitles, diffs, database tables, CSV, YAML and code are
      recognised without a fence, with Markdown or without: a record with its message, a frame, a
      cue, a hunk, a row, a setting with those below it and what is between two blank lines of code
      are spans (see `unfenced`). The names of columns are a `heading`.
    - Where a paragraph begins with a name and a colon, as in an interview or the head of a letter,
      each line that begins so begins a new sentence.
    - No sentence has more than 2,000 characters, and nothing else more than 1,000: a larger block
      is cut at blank lines, then at lines, at the tags of HTML, at sentences, at white space
      (see `bounds`).

    Args:
        text: The text; any `str`, lone surrogates included.
        language: Code of the language, such as `de`; it decides about abbreviations, and little
            else. `None` goes by the script, paragraph by paragraph: Latin is English, Cyrillic
            Russian, and so on (see `sentences.detect_language`).
        markdown: Whether Markdown counts. If not, all that is not recognised otherwise is prose.

    Raises:
        TypeError: If text or language is not a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, not {type(text).__name__}")
    if not isinstance(language, str | None):
        raise TypeError(f"language must be a code such as 'de', or None, not {language!r}")
    text = readable(text)
    spans = _closed(text, list(_spans(text, language, markdown)))
    return tuple(
        _under_headings(piece for span in spans for piece in bounded(text, span, language))
    )


def _spans(text: str, language: str | None, markdown: bool) -> Iterator[Span]:
    covered = 0
    starts = line_starts(text)
    for start, end, region in find_regions(text):
        yield from _marked_up(text, covered, start, language, markdown)
        for piece in region.pieces:
            first, last = stripped(text, starts[piece.first], starts[piece.last])
            if piece.kind == "heading":
                yield Span(first, last, "heading", BELOW_HEADINGS, until=end)
            elif first < last:
                yield Span(first, last, piece.kind)
        covered = end
    yield from _marked_up(text, covered, len(text), language, markdown)


def _marked_up(
    text: str, start: int, end: int, language: str | None, markdown: bool
) -> Iterator[Span]:
    """Spans of Markdown or of prose."""
    blocks = [Block(0, end - start)]
    if markdown:
        blocks = markdown_blocks(text[start:end])
    blocks = [block.moved(start) for block in blocks]
    if start == 0 and blocks and blocks[0].kind is None and not blocks[0].marks:
        first = blocks[0]
        title = title_end(text, first.start, first.end)
        if title is not None:
            yield Span(*stripped(text, first.start, title), "heading")
            blocks[0] = replace(first, start=title)
    for block in blocks:
        if block.kind is None:
            yield from split_prose(text, block, language)
        else:
            start, end = stripped(text, block.start, block.end)
            if start < end:
                yield Span(start, end, block.kind, block.level, block.quote)


def _closed(text: str, spans: list[Span]) -> list[Span]:
    """The spans, extended by what is left between them and is not white space."""
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


def _under_headings(spans: Iterable[Span]) -> Iterator[Segment]:
    # One chain of (level, index, until) for the text and for each block quote that is open: a
    # heading inside a quote heads nothing outside it.
    open_quotes: list[list[tuple[int, int, int | None]]] = [[]]
    for index, span in enumerate(spans):
        del open_quotes[span.quote + 1 :]
        while len(open_quotes) <= span.quote:
            open_quotes.append(list(open_quotes[-1]))
        chain = open_quotes[-1]
        while chain and (chain[-1][2] or span.start + 1) <= span.start:
            chain.pop()
        if span.kind == "heading":
            while chain and chain[-1][0] >= span.level:
                chain.pop()
        yield Segment(span.start, span.end, span.kind, tuple(place for _, place, _ in chain))
        if span.kind == "heading":
            chain.append((span.level, index, span.until))
