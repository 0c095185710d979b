"""Ranked chunks with their spans chosen: what a ranking shows of trimming."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from attnmass.profiles import SpanRule
from attnmass.scoring.ranked import RankedChunk, Span
from attnmass.scoring.selection import best_first
from attnmass.text.chunk import span_id, text_digest
from attnmass.text.segmentation import Segment
from attnmass.trimming.budget import TokenCounter
from attnmass.trimming.candidates import Candidate, Choice, Place
from attnmass.trimming.options import Trim
from attnmass.trimming.scores import (
    Floats,
    TokenMass,
    span_masses,
    span_scores,
    span_shares,
)
from attnmass.trimming.select import choose

Render = Callable[[int, str], str]
Leaning = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class ScoredText:
    """A chunk's text with a score for each of its spans.

    Attributes:
        text: The chunk's own text.
        segments: Its spans.
        masses: Attention mass of each, `[span]`.
        scores: What they are ordered by, `[span]`.
        relevances: Probability that each holds evidence by itself, where that is known.
        must: The spans that must stay.
    """

    text: str
    segments: tuple[Segment, ...]
    masses: Floats
    scores: Floats
    relevances: Sequence[float] | None = None
    must: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What trimming made of a ranking's chunks; the fields are those of `Ranking`."""

    chunks: tuple[RankedChunk, ...]
    dropped: tuple[RankedChunk, ...]
    n_tokens_after: int
    notes: tuple[str, ...] = ()


def score_text(
    text: str,
    segments: tuple[Segment, ...],
    tokens: TokenMass,
    chunk_score: float,
    rule: SpanRule,
    relevances: Sequence[float] | None = None,
    by_head: Floats | None = None,
) -> ScoredText:
    """Score the spans of one chunk.

    Args:
        text: The chunk's own text.
        segments: Its spans.
        tokens: Attention on its tokens by the heads that score spans, weighted, `[token]`.
        chunk_score: The chunk's.
        rule: The profile's.
        relevances: As in `ScoredText`.
        by_head: Attention by each of the rule's heads, `[head, token]`; where it has exponents.
    """
    rows = tokens.masses[None] if by_head is None else np.vstack([tokens.masses, by_head])
    spans = [(s.start, s.end) for s in segments]
    (masses, *others), counts = span_masses(replace(tokens, masses=rows), spans)
    found = masses
    if by_head is not None:
        body = np.array([s.kind != "heading" for s in segments], dtype=np.bool_)
        found = span_shares(np.stack(others), rule.exponents, body)
    scores = span_scores(found, counts, chunk_score, rule)
    return ScoredText(text, segments, masses, scores, relevances)


def trim_chunks(
    kept: Sequence[RankedChunk],
    dropped: Sequence[RankedChunk],
    scored: Mapping[int, ScoredText],
    trim: Trim,
    count: TokenCounter,
    render: Render,
    leaning: Mapping[int, Leaning] | None = None,
    *,
    min_relevance: float | None = None,
    final: bool = True,
) -> Trimmed:
    """Choose the spans of the chunks that were kept, and mark those of all others.

    Args:
        kept: Chunks in the order that the reader gets them; those without text are removed.
        dropped: Chunks that were dropped already.
        scored: Spans by input index, for every chunk that has text and was looked into.
        trim: What was asked for.
        count: Counts the reader's tokens.
        render: Gives what the reader gets of a chunk, from its input index and its kept text.
        leaning: By input index: for a span, the earlier one that it leans on.
        min_relevance: Chunks and spans of less relevance stay out, except for `min_keep` and
            `must_keep`; it does not apply to those without a relevance.
        final: As in `choose`.

    Raises:
        BudgetError: As in `choose`.
    """
    leaning = leaning or {}
    readable = [chunk for chunk in kept if chunk.index in scored]
    choice = choose(
        [
            Candidate(
                scored[chunk.index].text,
                scored[chunk.index].segments,
                scored[chunk.index].scores.tolist(),
                scored[chunk.index].masses.tolist(),
                lambda text, index=chunk.index: render(index, text),  # type: ignore[misc]
                leaning.get(chunk.index, {}),
                chunk.index,
                _irrelevant(chunk, scored[chunk.index], min_relevance),
                scored[chunk.index].must,
            )
            for chunk in readable
        ],
        trim,
        count,
        final=final,
    )
    twins = {place: _id(readable, scored, twin) for place, twin in choice.duplicate_of.items()}
    result = [
        _chosen(chunk, scored[chunk.index], choice, place, twins)
        for place, chunk in enumerate(readable)
    ]
    gone = [chunk for chunk in result if chunk.dropped]
    gone += [replace(c, text="", dropped=c.skipped) for c in kept if c.index not in scored]
    gone += [_marked(chunk, scored.get(chunk.index)) for chunk in dropped]
    return Trimmed(
        tuple(chunk for chunk in result if not chunk.dropped),
        tuple(sorted(gone, key=best_first)),
        choice.n_tokens,
        _notes(readable, scored, choice, trim),
    )


def _irrelevant(
    chunk: RankedChunk, source: ScoredText, min_relevance: float | None
) -> frozenset[int]:
    """The spans of a chunk that are not relevant: all of them where the chunk is not."""
    if min_relevance is None or chunk.relevance is None:
        return frozenset()
    every = range(len(source.segments))
    if chunk.relevance < min_relevance:
        return frozenset(every)
    likely = source.relevances
    return frozenset(() if likely is None else (i for i in every if likely[i] < min_relevance))


def _id(chunks: Sequence[RankedChunk], scored: Mapping[int, ScoredText], place: Place) -> str:
    source = scored[chunks[place[0]].index]
    segment = source.segments[place[1]]
    return span_id(text_digest(source.text), segment.start, segment.end)


def _notes(
    chunks: Sequence[RankedChunk], scored: Mapping[int, ScoredText], choice: Choice, trim: Trim
) -> tuple[str, ...]:
    """What a caller should know about a choice."""
    notes = []
    if choice.over:
        notes.append(
            f"what must_keep names takes {choice.over} tokens more than max_tokens="
            f"{trim.max_tokens}, and is not all kept"
        )
    if choice.missed is not None:
        chunk = chunks[choice.missed[0]]
        segment = scored[chunk.index].segments[choice.missed[1]]
        notes.append(
            f"chunks[{chunk.index}], characters {segment.start} to {segment.end}, is the best span "
            f"that did not fit into max_tokens={trim.max_tokens}: {choice.missed_tokens} tokens"
        )
    return tuple(notes)


def _chosen(
    chunk: RankedChunk,
    source: ScoredText,
    choice: Choice,
    place: int,
    twins: Mapping[Place, str],
) -> RankedChunk:
    mine = [twins.get((place, i)) for i in range(len(source.segments))]
    spans = _spans(source, choice.kept[place], choice.reasons[place], mine)
    if any(span.kept for span in spans):
        return replace(chunk, text=choice.texts[place], spans=spans)
    # The best span of a dropped chunk says why it was dropped; a heading goes with others.
    best = max(spans, key=lambda span: (span.reason != "title", span.score))
    return replace(chunk, text="", spans=spans, dropped=best.reason)


def _marked(chunk: RankedChunk, source: ScoredText | None) -> RankedChunk:
    """A chunk that was dropped whole, with its spans."""
    if source is None:
        return replace(chunk, text="")
    why = [chunk.dropped or ""] * len(source.segments)
    none = [None] * len(why)
    return replace(chunk, text="", spans=_spans(source, none, why, none))


def _spans(
    source: ScoredText,
    kept: Iterable[tuple[int, int] | None],
    reasons: Iterable[str],
    twins: Iterable[str | None],
) -> tuple[Span, ...]:
    digest = text_digest(source.text)
    likely: Sequence[float | None] = source.relevances or [None] * len(source.segments)
    return tuple(
        Span(
            segment.start,
            segment.end if place is None else place[1],
            segment.kind,
            float(score),
            float(mass),
            place is not None,
            reason,
            span_id(digest, segment.start, segment.end),
            relevance,
            twin,
        )
        for segment, score, mass, place, reason, relevance, twin in zip(
            source.segments,
            source.scores,
            source.masses,
            kept,
            reasons,
            likely,
            twins,
            strict=True,
        )
    )
