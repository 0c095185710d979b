"""The numbers of a page: what they are called and mean, and how they are copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnmass.explain.shown import shown

if TYPE_CHECKING:
    from attnmass.results.drawn import ExplainedChunk, Piece
    from attnmass.results.explanation import Explanation

_UNREAD = "the query's vectors come from a pass that has not read the chunks"
_READ = "the query was read together with the chunks"


def meanings(explanation: Explanation) -> list[tuple[str, str]]:
    """Each number that is on the page, with a sentence."""
    ranked = [chunk.ranked for chunk in explanation.chunks]
    found = [
        ("evidence", f"Whether the answer is likely here: {_evidence(explanation)}."),
        ("score", f"What chunks are ordered by, and what a bar shows: {_score(explanation)}."),
    ]
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
    found.append(("was", "The chunk's place before ranking, from 1."))
    return found


def _evidence(explanation: Explanation) -> str:
    ranked = [chunk.ranked for chunk in explanation.chunks]
    if all(chunk.relevance is None for chunk in ranked):
        return "by how all chunks share the query's attention"
    known = [chunk.relevance for chunk in ranked if chunk.relevance is not None]
    if explanation.evidence == max(known):
        return "the relevance of the best chunk"
    return (
        "the relevance of the best chunk, with what its profile counts beside it: a retriever's "
        "cosine, and how many of the question's words two chunks that pass say"
    )


def _score(explanation: Explanation) -> str:
    ranked = [chunk.ranked for chunk in explanation.chunks if chunk.ranked.skipped is None]
    if any(chunk.logit is not None for chunk in ranked):
        return "what the model's classification head says, as a probability, or both together"
    if all(chunk.score == chunk.share for chunk in ranked):
        return "here the share"
    return "here attention and the retriever's order together"


def chunk_numbers(explanation: Explanation) -> list[dict[str, Any]]:
    """For each chunk, what the page copies as JSON, and shows for a span under the pointer.

    `spans` have `[start, end, score, mass, relevance, number]` for each kept piece; a seventh is
    its text where the page cannot show all of it as it is. A piece that is left out has the first
    three. What is not known is missing.
    """
    return [_chunk(chunk) for chunk in explanation.chunks]


def _chunk(chunk: ExplainedChunk) -> dict[str, Any]:
    ranked = chunk.ranked
    numbers = {"score": ranked.score, "share": ranked.share, "relevance": ranked.relevance}
    known: dict[str, Any] = {
        "rank": chunk.place,
        "index": ranked.index,
        "id": chunk.id,
        "title": chunk.title,
        **{name: _rounded(number) for name, number in numbers.items()},
        "offset": chunk.offset,
    }
    spans = [_span(piece, chunk) for piece in chunk.pieces if piece.kept is not None]
    return {name: value for name, value in known.items() if value is not None} | {"spans": spans}


def _span(piece: Piece, chunk: ExplainedChunk) -> list[Any]:
    place = [piece.start - chunk.start, piece.end - chunk.start, _rounded(piece.score)]
    if piece.number is None:
        return place
    text = chunk.read[piece.start : piece.end]
    more = [_rounded(piece.mass), _rounded(piece.relevance), piece.number]
    return [*place, *more, *([] if shown(text) == text else [text])]


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 5)
