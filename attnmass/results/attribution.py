"""What an answer rests on: where its sentences look in the chunks that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from attnmass.results.types import span_id, text_digest

if TYPE_CHECKING:
    from torch import Tensor

    from attnmass.explain import AnswerExplanation
    from attnmass.layouts import QueryAttention
    from attnmass.profiles import HeadProfile
    from attnmass.results.trace import AnswerTrace
    from attnmass.text.inputs import Inputs
    from attnmass.text.segmentation import Segment
    from attnmass.text.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Support:
    """One span of a chunk that a sentence of the answer looked at.

    Attributes:
        chunk: Position of the chunk in the input, 0-based.
        start: First character, into the chunk's own text.
        end: One past its last character.
        text: The span, verbatim.
        kind: What it is, see `attnmass.text.segmentation.Segment`.
        score: What spans are ordered by over all chunks, as in `attnmass.Span`; in [0, 1].
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


@dataclass(frozen=True, slots=True)
class Attribution:
    """What an answer rests on.

    Attributes:
        query: The query.
        answer: The answer.
        sentences: Its sentences, in order.
        scores: Attention mass of every input chunk from all of the answer's sentences together, in
            input order.
        profile: The heads that were read.
        threshold: Of `AnswerSentence.supported`; `None` where none is known.
        notes: What a caller should know: chunks that were split or skipped, in sentences.
        trace: The attention that it was made of; `None` on one that was put together by hand.
    """

    query: str
    answer: str
    sentences: tuple[AnswerSentence, ...]
    scores: tuple[float, ...]
    profile: HeadProfile
    threshold: float | None = None
    notes: tuple[str, ...] = ()
    trace: AnswerTrace | None = field(default=None, repr=False, compare=False)

    @property
    def unsupported(self) -> tuple[AnswerSentence, ...]:
        """Sentences with less support than the threshold; none where there is no threshold."""
        return tuple(each for each in self.sentences if each.supported is False)

    @property
    def ranked(self) -> tuple[int, ...]:
        """Input indices of the chunks, those that the answer looked at most first."""
        return tuple(sorted(range(len(self.scores)), key=lambda index: -self.scores[index]))

    def explain(self) -> AnswerExplanation:
        """The attention drawn over answer and chunks: HTML, a notebook's cell, a terminal, JSON.

        Raises:
            ValueError: If there is no `trace`.
        """
        from attnmass.explain import explain_answer

        return explain_answer(self)

    def with_places(self, place: Callable[[int], tuple[str | None, int | None]]) -> Attribution:
        """The same with each chunk's id, and its place in the document that it is part of.

        Args:
            place: From the input index of a chunk to its id and to where its text begins.
        """

        def placed(span: Support) -> Support:
            chunk_id, offset = place(span.chunk)
            if offset is None:
                return replace(span, chunk_id=chunk_id)
            return replace(
                span,
                chunk_id=chunk_id,
                doc_start=offset + span.start,
                doc_end=offset + span.end,
            )

        sentences = [
            replace(each, spans=tuple(placed(span) for span in each.spans))
            for each in self.sentences
        ]
        return replace(self, sentences=tuple(sentences))


def answer_sentences(
    answer: str, tokens: Tokens, language: str | None
) -> tuple[list[Segment], list[list[int]]]:
    """The sentences of an answer that have tokens, and the indices of these."""
    import numpy as np

    from attnmass.text.segmentation import segment
    from attnmass.trimming import tokens_of

    segments = segment(answer, language=language)
    offsets = np.array(tokens.offsets, dtype=np.int64).reshape(-1, 2)
    groups = tokens_of(offsets, 0, [(each.start, each.end) for each in segments])
    known = [(each, group) for each, group in zip(segments, groups, strict=True) if group]
    return [each for each, _ in known], [group for _, group in known]


def attributed(
    query: str,
    answer: str,
    sentences: Sequence[Segment],
    attention: Sequence[QueryAttention],
    inputs: Inputs,
    profile: HeadProfile,
    *,
    top_spans: int,
    threshold: float | None,
    language: str | None,
) -> Attribution:
    """Make an attribution of attention.

    Args:
        query: The query.
        answer: The answer.
        sentences: Of the answer.
        attention: Of each sentence, and last of all of them together.
        inputs: The chunks.
        profile: The heads that were read.
        top_spans: Spans of a sentence that are told, at most.
        threshold: Of support.
        language: Of the chunks, as in `attnmass.text.segmentation.segment`.
    """
    from attnmass.results.trace import answer_trace
    from attnmass.scoring.masses import chunk_masses
    from attnmass.text.segmentation import segment

    segments = {i: segment(inputs.chunks[i].text, language=language) for i in inputs.tokens}

    def scores(looked: QueryAttention) -> tuple[float, ...]:
        masses = chunk_masses(looked, profile.chunk_weights)
        found = dict(zip(inputs.tokens, masses, strict=True))
        return tuple(found.get(index, 0.0) for index in range(len(inputs.chunks)))

    def sentence(each: Segment, looked: QueryAttention) -> AnswerSentence:
        masses = scores(looked)
        support = max(masses, default=0.0)
        spans = _spans(looked.chunks, masses, segments, inputs, profile)
        return AnswerSentence(
            start=each.start,
            end=each.end,
            text=answer[each.start : each.end],
            spans=tuple(spans[:top_spans]),
            scores=masses,
            support=support,
            supported=None if threshold is None else support >= threshold,
        )

    *by_sentence, whole = attention
    return Attribution(
        query=query,
        answer=answer,
        sentences=tuple(
            sentence(each, looked) for each, looked in zip(sentences, by_sentence, strict=True)
        ),
        scores=scores(whole),
        profile=profile,
        threshold=threshold,
        trace=answer_trace(inputs, attention),
    )


def _spans(
    attention: Sequence[Tensor],
    masses: Sequence[float],
    segments: Mapping[int, tuple[Segment, ...]],
    inputs: Inputs,
    profile: HeadProfile,
) -> list[Support]:
    """All spans of all chunks, best first; headings over them are no support."""
    from attnmass.engine.trimmer import scored_text

    found: list[Support] = []
    for index, looked in zip(inputs.tokens, attention, strict=True):
        mine = scored_text(inputs, index, looked, masses[index], segments[index], profile)
        digest = text_digest(mine.text)
        found += [
            Support(
                chunk=index,
                start=each.start,
                end=each.end,
                text=mine.text[each.start : each.end],
                kind=each.kind,
                score=float(score),
                mass=float(mass),
                id=span_id(digest, each.start, each.end),
            )
            for each, mass, score in zip(mine.segments, mine.masses, mine.scores, strict=True)
            if each.kind != "heading"
        ]
    return sorted(found, key=lambda span: -span.score)
