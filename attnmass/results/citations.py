"""Kept text with numbers after each span, and what the numbers stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from attnmass.options.checks import check_items, check_type
from attnmass.results import hidden
from attnmass.results.markers import checked_marker, numbers_in
from attnmass.results.ranking import Ranking
from attnmass.text.chunk import Chunk, span_id, text_digest
from attnmass.text.lines import beginning, counted

# Tried in this order where the caller names none.
MARKERS = ("[{n}]", "[S{n}]", "⟦{n}⟧")


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to be cited.

    Attributes:
        text: The whole text, as it was before it was trimmed; with `places`, what is left of it.
        spans: `(id, start, end)` of what is kept of the whole text, in order; `None` is all of it
            as one span.
        separator: What stands where text was dropped between two spans.
        places: Where each span begins in `text`, where that is what is left.
        chunk_id: The id that a framework gives the chunk.
        parent_id: The id of the document that the chunk is part of.
        offset: Where the text begins in that document.
        metadata: What else is known about the chunk.

    Raises:
        TypeError: If the text is not a string.
        ValueError: If the spans are not in order, without overlap, and inside the text.
    """

    text: str
    spans: Sequence[tuple[str, int, int]] | None = None
    separator: str = "…"
    chunk_id: str | None = None
    parent_id: str | None = None
    offset: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    places: Sequence[int] | None = None

    def __post_init__(self) -> None:
        check_type("text", self.text, str)
        for span in self.spans or ():
            check_items("a span", span, object, instead="(id, start, end)")
            if len(span) != 3:
                raise ValueError(f"spans must be (id, start, end), not {span!r}")
        spans = [(start, end) for _, start, end in self.spans or ()]
        if self.places is None:
            _check_inside(spans, len(self.text))
            return
        if len(self.places) != len(spans):
            raise ValueError(f"{len(spans)} spans need as many places, not {len(self.places)}")
        _check_inside(spans, max((end for _, end in spans), default=0))
        _check_inside(self._slices(), len(self.text))

    def _slices(self) -> list[tuple[int, int]]:
        """`[start, end)` of each span in `text`."""
        if self.spans is None:
            return [(0, len(self.text))]
        spans = [(start, end) for _, start, end in self.spans]
        if self.places is None:
            return spans
        pairs = zip(self.places, spans, strict=True)
        return [(place, place + end - start) for place, (start, end) in pairs]

    def _parts(self) -> list[str]:
        """What is shown of each span, with what stands before it."""
        if self.places is None:
            from attnmass.trimming.render import kept_parts

            return list(kept_parts(self.text, self._slices(), self.separator))
        slices = self._slices()
        ends = [slices[0][0], *(end for _, end in slices)] if slices else []
        return [self.text[start:end] for start, end in pairwise(ends)]


def _check_inside(spans: Sequence[tuple[int, int]], length: int) -> None:
    """Raise `ValueError` unless these are in order, apart, and inside so many characters."""
    last = 0
    for start, end in spans:
        if not last <= start < end <= length:
            raise ValueError(
                f"spans must be (id, start, end), in order, inside the {length} characters of the "
                f"text, not {(start, end)}"
            )
        last = end


@dataclass(frozen=True, slots=True)
class Source:
    """What one number stands for.

    Attributes:
        number: The number, from 1.
        id: The span's id, the same for the same place in the same text.
        text: The span, verbatim.
        chunk: Position of its chunk among those that were cited, 0-based.
        start: First character, into the chunk's text before trimming.
        end: One past its last character.
        chunk_id: As in `Passage`.
        parent_id: As in `Passage`.
        doc_start: First character, into the parent document, where that is known.
        doc_end: One past the last, likewise.
        metadata: As in `Passage`.
    """

    number: int
    id: str
    text: str
    chunk: int
    start: int
    end: int
    chunk_id: str | None = None
    parent_id: str | None = None
    doc_start: int | None = None
    doc_end: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Cited:
    """Text for a prompt, and where its parts come from.

    Attributes:
        text: The kept texts, joined by blank lines, with a marker after each span.
        sources: What the markers stand for: marker 1 is `sources[0]`.
        marker: What a marker looks like, for the prompt to say so: `"[{n}]"` unless that would be
            mistaken for something in the texts.
    """

    text: str
    sources: tuple[Source, ...]
    marker: str

    def __repr__(self) -> str:
        return (
            f"Cited({counted(len(self.sources), 'source')} marked {self.marker!r}, "
            f"{counted(len(self.text), 'character')}: {beginning(self.text)})"
        )

    def resolve(self, answer: str) -> tuple[Source, ...]:
        """The sources that an answer cites, in order of their first mention.

        `[2], [3]`, `[2][3]` and `[2, 3]` are all read; numbers that no source has are left out.

        Raises:
            TypeError: If the answer is not a string.
        """
        known = [n for n in self._numbers(answer) if 0 < n <= len(self.sources)]
        return tuple(self.sources[n - 1] for n in known)

    def unknown(self, answer: str) -> tuple[int, ...]:
        """The numbers in an answer that no source has, in order of their first mention.

        Raises:
            TypeError: If the answer is not a string.
        """
        return tuple(n for n in self._numbers(answer) if not 0 < n <= len(self.sources))

    def _numbers(self, answer: str) -> list[int]:
        if not isinstance(answer, str):
            raise TypeError(f"answer must be a str, not {type(answer).__name__}: pass its text")
        return list(dict.fromkeys(numbers_in(self.marker, answer)))


def cite(passages: Iterable[Passage], *, marker: str | None = None) -> Cited:
    """Number the spans of texts in reading order.

    A marker follows its span after a space, or on a line of its own where the span has several.
    Nothing in the texts is changed; where they contain something that reads like a marker, as
    Wikipedia's footnotes do, another marker is used.

    Args:
        passages: The texts, in the order that the reader gets them; blank ones are left out, and
            counted.
        marker: What a marker looks like, with `{n}` for the number between other characters;
            default: the first of `MARKERS` that nothing in the texts looks like.

    Raises:
        ValueError: If `marker` is malformed, or reads like something in the texts.
        TypeError: If there is anything other than passages.
    """
    check_type("marker", marker, str, optional="one that the texts do not have")
    if not isinstance(passages, str) and isinstance(passages, Iterable):
        passages = list(passages)
    check_items("passages", passages, Passage, instead="[Passage(text)]")
    for known in MARKERS if marker is None else (checked_marker(marker),):
        cited = _cite(passages, known)
        if list(numbers_in(known, cited.text)) == list(range(1, len(cited.sources) + 1)):
            return cited
    wanted = " or ".join(map(repr, MARKERS if marker is None else (marker,)))
    raise ValueError(
        f"the texts have something that reads like {wanted}: pass another marker, such as "
        "'<#{n}>'"
    )


def to_passage(
    ours: Mapping[str, Any], text: str, *, offset: int | None = None, **about: Any
) -> Passage:
    """A passage of a result of an adapter.

    Args:
        ours: What the adapter wrote into its metadata, see `hidden.read`.
        text: Its text.
        offset: Where that begins in its parent now.
        **about: Other fields of `Passage`.
    """
    if not hidden.is_of(ours, text):  # not trimmed, or changed since
        return Passage(text, offset=offset, **about)
    spans = ours["spans"]
    first = spans[0]
    return Passage(
        text,
        [(span["id"], span["start"], span["end"]) for span in spans],
        places=[span["place"] for span in spans],
        offset=first["doc_start"] - first["start"] if "doc_start" in first else None,
        **about,
    )


def ranked_passages(
    ranking: Ranking, chunks: Sequence[str | Chunk], *, separator: str = "…"
) -> list[Passage]:
    """Passages of a ranking, for `cite`.

    Args:
        ranking: From `AttentionRanker.rank` or `trim`.
        chunks: What was ranked.
        separator: The one that the texts were trimmed with.

    Raises:
        TypeError, ValueError: If that is not a ranking, or other chunks were ranked.
    """
    check_type("ranking", ranking, Ranking)
    check_items("chunks", chunks, (str, Chunk), instead="what was ranked")
    if len(chunks) != len(ranking.scores):
        raise ValueError(f"{len(ranking.scores)} chunks were ranked, not {len(chunks)}")
    found = []
    for ranked in ranking.chunks:
        chunk = chunks[ranked.index]
        spans = [(span.id, span.start, span.end) for span in ranked.kept_spans]
        chunk = Chunk(chunk) if isinstance(chunk, str) else chunk
        found.append(Passage(chunk.text, spans or None, separator, metadata=chunk.metadata))
    return found


def _cite(passages: Sequence[Passage], marker: str) -> Cited:
    texts: list[str] = []
    sources: list[Source] = []
    for place, passage in enumerate(passages):
        if not passage.text.strip():
            continue
        mine = _sources(passage, place, len(sources))
        sources += mine
        texts.append(_marked(passage, mine, marker))
    return Cited("\n\n".join(texts), tuple(sources), marker)


def _sources(passage: Passage, place: int, before: int) -> list[Source]:
    spans = passage.spans
    if spans is None:
        end = len(passage.text)
        spans = [(span_id(text_digest(passage.text), 0, end), 0, end)]
    offset = passage.offset
    return [
        Source(
            number=number,
            id=span_id,
            text=passage.text[slice(*piece)],
            chunk=place,
            start=start,
            end=end,
            chunk_id=passage.chunk_id,
            parent_id=passage.parent_id,
            doc_start=None if offset is None else offset + start,
            doc_end=None if offset is None else offset + end,
            metadata=passage.metadata,
        )
        for number, ((span_id, start, end), piece) in enumerate(
            zip(spans, passage._slices(), strict=True), before + 1
        )
    ]


def _marked(passage: Passage, sources: Sequence[Source], marker: str) -> str:
    parts: list[str] = []
    for part, source in zip(passage._parts(), sources, strict=True):
        space = "\n" if "\n" in source.text else " "
        parts.append(f"{part}{space}{marker.replace('{n}', str(source.number))}")
    return "".join(parts)
