"""An explanation in JSON's types."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from attnmass.explain.sheets import word_masses
from attnmass.trace import Floats

if TYPE_CHECKING:
    from attnmass.explain.model import ExplainedChunk, Explanation, Piece


def as_dict(explanation: Explanation) -> dict[str, Any]:
    """See `Explanation.to_dict`.

    `chunks` have `words`, each with `start` and `end` into the chunk's `read`, its `mass` as chunks
    are ranked, and its mass by each of `heads`; `by_query_word` has one for each of `query_words`,
    if those were told apart. `pieces` say what `read` consists of.
    """
    return {
        "query": explanation.query,
        "query_words": [
            {"text": explanation.query[start:end], "start": start, "end": end}
            for start, end in explanation.query_words
        ],
        "model": explanation.model,
        "heads": [list(head) for head in explanation.heads],
        "weights": [_short(weight) for weight in explanation.views[0].weights],
        "evidence": _short(explanation.evidence),
        "no_evidence": explanation.no_evidence,
        "threshold": explanation.threshold,
        "n_tokens_before": explanation.n_tokens_before,
        "n_tokens_after": explanation.n_tokens_after,
        "notes": list(explanation.notes),
        "chunks": [
            _chunk(chunk, explanation.views[0].weights, len(explanation.query_words))
            for chunk in explanation.chunks
        ],
    }


def _chunk(chunk: ExplainedChunk, weights: tuple[float, ...], n_query: int) -> dict[str, Any]:
    ranked = chunk.ranked
    masses = word_masses(chunk, weights)
    asked = [word_masses(chunk, weights, word) for word in range(n_query)]
    return {
        "place": chunk.place,
        "index": ranked.index,
        "score": _short(ranked.score),
        "retrieval_score": _finite(ranked.retrieval_score),
        "fused_score": _finite(ranked.fused_score),
        "n_tokens": ranked.n_tokens,
        "n_windows": ranked.n_windows,
        "skipped": ranked.skipped,
        "dropped": ranked.dropped,
        "title": chunk.title,
        "read": chunk.read,
        "pieces": [_piece(piece) for piece in chunk.pieces],
        "words": [
            {"start": start, "end": end, "mass": _short(masses[i])}
            | {"heads": _shorts(chunk.masses[:, i])}
            | ({"by_query_word": [_short(each[i]) for each in asked]} if asked else {})
            for i, (start, end) in enumerate(chunk.words.tolist())
        ],
    }


def _piece(piece: Piece) -> dict[str, Any]:
    return {
        "part": piece.part,
        "start": piece.start,
        "end": piece.end,
        "kept": piece.kept,
        "reason": piece.reason,
        "score": None if piece.score is None else _short(piece.score),
        "mass": None if piece.mass is None else _short(piece.mass),
    }


def _shorts(numbers: Floats) -> list[float]:
    return [_short(number) for number in numbers.tolist()]


def _finite(number: float | None) -> float | None:
    """A retriever may give scores that JSON has no word for."""
    return number if number is not None and math.isfinite(number) else None


def _short(number: float) -> float:
    return round(float(number), 7)
