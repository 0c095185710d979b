"""Kept text with numbers after each span, and what the numbers stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnmass.results import hidden
from attnmass.text.chunk import span_id, text_digest

if TYPE_CHECKING:
    from attnmass.results.ranking import Ranking
    from attnmass.text.chunk import Chunk

# Tried in this order where the caller names none.
MARKERS = ("[{n}]", "[S{n}]", "⟦{n}⟧")

_NUMBER = "[0-9]{1,9}"


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to be cited.

    Attributes:
        text: The whole text, as it was before it was trimmed.
        spans: `(id, start, end)` of what is kept of it, in order; `None` is all of it as one span.
        separator: Stands where text was dropped between two spans.
        chunk_id: The id that a framework gives the chunk.
        parent_id: The id of the document that the chunk is part of.
        offset: Where the text begins in that document.
        metadata: What else is known of the chunk.
    """

    text: str
    spans: Sequence[tuple[str, int, int]] | None = None
    separator: str = "…"
    chunk_id: str | None = None
    parent_id: str | None = None
    offset: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)


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
    """Text for a prompt, and where its parts are from.

    Attributes:
        text: The kept texts, joined by blank lines, with a marker after each span.
        sources: What the markers stand for: marker 1 is `sources[0]`.
        marker: What a marker looks like, for the prompt to say so: `"[{n}]"` unless that would be
            mistaken for something in the texts.
    """

    text: str
    sources: tuple[Source, ...]
    marker: str

    def resolve(self, answer: str) -> tuple[Source, ...]:
        """The sources that an answer cites, in order of their first mention.

        `[2], [3]`, `[2][3]` and `[2, 3]` are all read; numbers of no source are left out.
        """
        known = [n for n in self._numbers(answer) if 0 < n <= len(self.sources)]
        return tuple(self.sources[n - 1] for n in known)

    def unknown(self, answer: str) -> tuple[int, ...]:
        """The numbers in an answer that no source has, in order of their first mention."""
        return tuple(n for n in self._numbers(answer) if not 0 < n <= len(self.sources))

    def _numbers(self, answer: str) -> list[int]:
        return list(dict.fromkeys(_find(self.marker, answer)))


def cite(passages: Iterable[Passage], *, marker: str | None = None) -> Cited:
    """Number the spans of texts in reading order.

    A marker follows its span after a space, or on a line of its own where the span has several.
    Nothing in the texts is changed; where they have something that reads like a marker, as
    Wikipedia's footnotes do, another marker is taken.

    Args:
        passages: The texts, in the order that the reader gets them; blank ones are left out, and
            counted.
        marker: What a marker looks like, with `{n}` for the number between other characters;
            default: the first of `MARKERS` that nothing in the texts looks like.

    Raises:
        ValueError: If `marker` is malformed, or reads like something in the texts.
    """
    passages = list(passages)
    for known in MARKERS if marker is None else (_checked(marker),):
        cited = _cite(passages, known)
        if list(_find(known, cited.text)) == list(range(1, len(cited.sources) + 1)):
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
    original = hidden.source_text(ours, text)
    if original is None:  # not trimmed, or changed since
        return Passage(text, offset=offset, **about)
    first = ours["spans"][0]
    return Passage(
        original,
        [(span["id"], span["start"], span["end"]) for span in ours["spans"]],
        ours.get("separator", ""),
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
    """
    found = []
    for ranked in ranking.chunks:
        chunk = chunks[ranked.index]
        spans = [(span.id, span.start, span.end) for span in ranked.kept_spans]
        text = chunk if isinstance(chunk, str) else chunk.text
        found.append(Passage(text, spans or None, separator))
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
            text=passage.text[start:end],
            chunk=place,
            start=start,
            end=end,
            chunk_id=passage.chunk_id,
            parent_id=passage.parent_id,
            doc_start=None if offset is None else offset + start,
            doc_end=None if offset is None else offset + end,
            metadata=passage.metadata,
        )
        for number, (span_id, start, end) in enumerate(spans, before + 1)
    ]


def _marked(passage: Passage, sources: Sequence[Source], marker: str) -> str:
    from attnmass.trimming.render import join_kept

    parts: list[str] = []
    done = 0
    for count, source in enumerate(sources, 1):
        spans = [(known.start, known.end) for known in sources[:count]]
        so_far = join_kept(passage.text, spans, passage.separator)
        space = "\n" if "\n" in source.text else " "
        parts.append(f"{so_far[done:]}{space}{marker.replace('{n}', str(source.number))}")
        done = len(so_far)
    return "".join(parts)


def _checked(marker: str) -> str:
    before, number, after = marker.partition("{n}")
    around = before + after
    if not (number and before.strip() and after.strip()) or re.search("[0-9,]|{n}", around):
        raise ValueError(
            "marker must have '{n}' once, between characters that are neither digits nor commas, "
            f"such as '[{{n}}]', not {marker!r}"
        )
    return marker


def _find(marker: str, text: str) -> Iterable[int]:
    """The numbers of all markers, in order."""
    before, _, after = marker.partition("{n}")
    label = re.escape(re.search(r"\w*$", before).group())  # type: ignore[union-attr]
    more = rf"(?:\s*[,;]\s*(?:{label})?{_NUMBER})*"
    pattern = rf"{re.escape(before)}\s*({_NUMBER}{more})\s*{re.escape(after)}"
    for found in re.finditer(pattern, text):
        yield from map(int, re.findall(_NUMBER, found.group(1)))
