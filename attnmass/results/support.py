"""What a sentence of an answer rests on: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Support:
    """One span of a chunk that a sentence of the answer looked at.

    Attributes:
        chunk: Position of the chunk in the input, 0-based.
        start: First character, into the chunk's own text.
        end: One past its last character.
        text: The span, verbatim.
        kind: What it is, see `attnmass.text.segmentation.Segment`.
        score: What spans are ordered by across all chunks, as in `attnmass.Span`; in [0, 1].
        mass: Share of the attention of the sentence's tokens that it got, by the heads that score
            spans.
        id: The same for the same place in the same text, as in `attnmass.Span`.
        chunk_id: The id that a framework gives the chunk; `None` where there is none.
        doc_start: First character, into the document that the chunk is part of, where an adapter
            knows that place.
        doc_end: One past the last, likewise.
    """

    chunk: int
    start: int
    end: int
    text: str
    kind: str
    score: float
    mass: float
    id: str
    chunk_id: str | None = None
    doc_start: int | None = None
    doc_end: int | None = None


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """One sentence (or heading, list item, table, ...) of an answer.

    Attributes:
        start: First character, into the answer.
        end: One past its last character.
        text: The sentence, verbatim.
        spans: The spans that its tokens looked at most, best first.
        scores: Attention mass of every input chunk, in input order: the share of the attention of
            the sentence's tokens that it got, in [0, 1].
        support: The largest of `scores`, 0.0 without chunks.
        supported: Whether that is at least the threshold; `None` where there is no threshold.
    """

    start: int
    end: int
    text: str
    spans: tuple[Support, ...]
    scores: tuple[float, ...]
    support: float
    supported: bool | None
