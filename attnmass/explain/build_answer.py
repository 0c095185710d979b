"""From an attribution to what is drawn from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attnmass.explain.build import explained_chunk, views
from attnmass.results.answer_explanation import AnswerExplanation
from attnmass.results.drawn import ExplainedChunk, Piece
from attnmass.scoring.ranked import RankedChunk

if TYPE_CHECKING:
    from attnmass.results.attribution import Attribution
    from attnmass.results.trace import AnswerTrace

Cited = dict[tuple[int, int], tuple[int, ...]]  # by place in the text, which sentences name it


def explain_answer(attribution: Attribution) -> AnswerExplanation:
    """Prepare an attribution to be drawn.

    Raises:
        ValueError: If it has no `trace`.
        TypeError: If it is not an attribution.
    """
    if not hasattr(attribution, "sentences"):
        raise TypeError(f"attribution must be an Attribution, not {attribution!r}")
    trace = attribution.trace
    if trace is None:
        raise ValueError(
            "this attribution holds no attention to draw: pass one that AttentionRanker.attribute "
            "returned"
        )
    order = sorted(attribution.ranked, key=lambda index: index in trace.skipped)
    return AnswerExplanation(
        query=attribution.query,
        answer=attribution.answer,
        model=attribution.profile.model,
        heads=attribution.profile.all_heads,
        views=tuple(views(attribution.profile, sentences=True)),
        sentences=attribution.sentences,
        chunks=tuple(
            _chunk(attribution, trace, index, place) for place, index in enumerate(order, start=1)
        ),
        threshold=attribution.threshold,
        notes=attribution.notes,
    )


def _chunk(attribution: Attribution, trace: AnswerTrace, index: int, place: int) -> ExplainedChunk:
    found = trace.scored.get(index)
    score = attribution.scores[index]
    ranked = RankedChunk(
        index=index,
        score=score,
        n_tokens=0 if found is None else len(found.offsets),
        skipped=trace.skipped.get(index),
        text=trace.chunks[index].text,
        mass=score,
    )
    cited = _cited(attribution, index)
    return explained_chunk(
        ranked,
        None if found is None else place,
        trace.chunks[index],
        found,
        lambda start, end: _text_pieces(cited, start, end),
        n_heads=len(attribution.profile.all_heads),
        rows=lambda rows: rows,  # one for each sentence, as they are
    )


def _cited(attribution: Attribution, index: int) -> Cited:
    """Spans of a chunk that sentences name, in reading order."""
    found: dict[tuple[int, int], list[int]] = {}
    for number, sentence in enumerate(attribution.sentences, start=1):
        for span in sentence.spans:
            if span.chunk == index:
                found.setdefault((span.start, span.end), []).append(number)
    return {place: tuple(found[place]) for place in sorted(found)}


def _text_pieces(cited: Cited, start: int, end: int) -> Iterator[Piece]:
    place = start
    for (first, last), by in cited.items():
        if place < start + first:
            yield Piece("text", place, start + first)
        yield Piece("text", start + first, start + last, by=by)
        place = start + last
    if place < end:
        yield Piece("text", place, end)
