"""The numbers of a page: what they are called and mean, and how they are copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnmass.explain.shown import why_kept

if TYPE_CHECKING:
    from attnmass.results.drawn import ExplainedChunk, Piece
    from attnmass.results.explanation import Explanation

_UNREAD = "the query's vectors come from a pass that has not read the chunks"
_READ = "the query was read together with the chunks"


def meanings(explanation: Explanation) -> list[tuple[str, str]]:
    """Each number that is on the page, with a sentence."""
    ranked = [chunk.ranked for chunk in explanation.chunks]
    found = [("score", f"What chunks are ordered by, and what a bar shows: {_score(explanation)}.")]
    found.append(
        (
            "share",
            "Of the attention that all chunks compete for, what this one gets. It depends on the "
            "other chunks.",
        )
    )
    if any(chunk.relevance is not None for chunk in ranked):
        found.append(
            (
                "relevance",
                "How probable it is that the chunk holds evidence, by query, chunk and model "
                "alone: whatever the other chunks are.",
            )
        )
    how = _UNREAD if explanation.layout == "late" else _READ
    found.append(
        (
            "mass",
            "The share of the query's attention that the chosen heads pay the chunk; its words' "
            f"shades are parts of it. In the layout {explanation.layout or 'that was read'} {how}.",
        )
    )
    if any(chunk.retrieval_score is not None for chunk in ranked):
        found.append(("retriever's score", "What the retriever gave it."))
    return found


def _score(explanation: Explanation) -> str:
    ranked = [chunk.ranked for chunk in explanation.chunks if chunk.ranked.skipped is None]
    if any(chunk.logit is not None for chunk in ranked):
        return "what the model's classification head says, as a probability, or both together"
    if all(chunk.score == chunk.share for chunk in ranked):
        return "here the share"
    return "here attention and the retriever's order together"


def span_tip(piece: Piece, chunk: ExplainedChunk) -> str:
    """What is said of a span where the pointer rests on it; nothing of what is no span."""
    if piece.score is None:
        return ""
    start, end = piece.start - chunk.start, piece.end - chunk.start
    parts = [f"characters {start:,} to {end:,}"]
    if chunk.offset is not None:
        parts.append(f"{chunk.offset + start:,} to {chunk.offset + end:,} of its document")
    if piece.number is not None:
        parts.append(f"cited as [{piece.number}]")
    parts.append(f"score {piece.score:.4f}")
    if piece.relevance is not None:
        parts.append(f"relevance {piece.relevance:.3f}")
    if piece.mass is not None:
        parts.append(f"mass {piece.mass:.4f}")
    if piece.kept:
        parts.append(f"kept {why_kept(piece.reason)}")
    return " · ".join(parts)


def copied_spans(explanation: Explanation) -> dict[str, Any]:
    """What the page copies: kept chunks with their numbers, and of trimmed ones the kept spans."""
    return {
        "query": explanation.query,
        "evidence": round(explanation.evidence, 7),
        "chunks": [_chunk(chunk) for chunk in explanation.chunks if chunk.place is not None],
    }


def _chunk(chunk: ExplainedChunk) -> dict[str, Any]:
    ranked = chunk.ranked
    numbers = {"score": ranked.score, "share": ranked.share, "relevance": ranked.relevance}
    return {
        "rank": chunk.place,
        "index": ranked.index,
        "id": chunk.id,
        "title": chunk.title,
        **{name: _rounded(number) for name, number in numbers.items()},
        "spans": [_span(piece, chunk) for piece in chunk.pieces if piece.number is not None],
    }


def _span(piece: Piece, chunk: ExplainedChunk) -> dict[str, Any]:
    start, end = piece.start - chunk.start, piece.end - chunk.start
    known = chunk.offset is not None
    return {
        "number": piece.number,
        "start": start,
        "end": end,
        "doc_start": (chunk.offset or 0) + start if known else None,
        "doc_end": (chunk.offset or 0) + end if known else None,
        "score": _rounded(piece.score),
        "relevance": _rounded(piece.relevance),
        "text": chunk.read[piece.start : piece.end],
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 7)
