"""Ranked chunks with their spans chosen: what a ranking shows of trimming."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from attnmass.profiles import SpanRule
from attnmass.scoring.ranked import RankedChunk, Span
from attnmass.text.chunk import span_id, text_digest
from attnmass.text.segmentation import Segment
from attnmass.trimming.budget import TokenCounter
from attnmass.trimming.candidates import Candidate, Choice
from attnmass.trimming.options import Trim
from attnmass.trimming.scores import Floats, TokenMass, span_masses, span_scores
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
    """

    text: str
    segments: tuple[Segment, ...]
    masses: Floats
    scores: Floats
    relevances: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What trimming made of a ranking's chunks; the fields are those of `Ranking`."""

    chunks: tuple[RankedChunk, ...]
    dropped: tuple[RankedChunk, ...]
    n_tokens_before: int
    n_tokens_after: int


def score_text(
    text: str,
    segments: tuple[Segment, ...],
    tokens: TokenMass,
    chunk_score: float,
    rule: SpanRule,
    relevances: Sequence[float] | None = None,
) -> ScoredText:
    """Score the spans of one chunk."""
    masses, counts = span_masses(tokens, [(s.start, s.end) for s in segments])
    scores = span_scores(masses, counts, chunk_score, rule)
    return ScoredText(text, segments, masses, scores, relevances)


def trim_chunks(
    kept: Sequence[RankedChunk],
    dropped: Sequence[RankedChunk],
    scored: Mapping[int, ScoredText],
    trim: Trim,
    count: TokenCounter,
    render: Render,
    leaning: Mapping[int, Leaning] | None = None,
) -> Trimmed:
    """Choose the spans of the chunks that were kept, and mark those of all others.

    Args:
        kept: Chunks in the order that the reader gets them; those without text are let go.
        dropped: Chunks that were dropped already.
        scored: Spans by input index, of every chunk that has text.
        trim: What was asked for.
        count: Counts the reader's tokens.
        render: What the reader gets of a chunk, from its input index and its kept text.
        leaning: By input index, for a span the earlier one that it leans on.

    Raises:
        ValueError: As in `choose`.
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
            )
            for chunk in readable
        ],
        trim,
        count,
    )
    result = [
        _chosen(chunk, scored[chunk.index], choice, place) for place, chunk in enumerate(readable)
    ]
    gone = [chunk for chunk in result if chunk.dropped]
    gone += [replace(c, text="", dropped=c.skipped) for c in kept if c.index not in scored]
    gone += [_marked(chunk, scored.get(chunk.index)) for chunk in dropped]
    before = [render(index, source.text) for index, source in scored.items()]
    return Trimmed(
        tuple(chunk for chunk in result if not chunk.dropped),
        tuple(sorted(gone, key=_best_first)),
        count.total(before),
        choice.n_tokens,
    )


def _best_first(chunk: RankedChunk) -> tuple[bool, float, int]:
    return chunk.skipped is not None, -chunk.score, chunk.index


def _chosen(chunk: RankedChunk, source: ScoredText, choice: Choice, place: int) -> RankedChunk:
    spans = _spans(source, choice.kept[place], choice.reasons[place])
    if any(span.kept for span in spans):
        return replace(chunk, text=choice.texts[place], spans=spans)
    # The best span of a dropped chunk says what it was dropped for; a heading goes with others.
    best = max(spans, key=lambda span: (span.reason != "title", span.score))
    return replace(chunk, text="", spans=spans, dropped=best.reason)


def _marked(chunk: RankedChunk, source: ScoredText | None) -> RankedChunk:
    """A chunk that was dropped whole, with its spans."""
    if source is None:
        return replace(chunk, text="")
    why = [chunk.dropped or ""] * len(source.segments)
    return replace(chunk, text="", spans=_spans(source, [None] * len(why), why))


def _spans(
    source: ScoredText, kept: Iterable[tuple[int, int] | None], reasons: Iterable[str]
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
        )
        for segment, score, mass, place, reason, relevance in zip(
            source.segments,
            source.scores,
            source.masses,
            kept,
            reasons,
            likely,
            strict=True,
        )
    )
