"""An explanation in JSON's types."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from attnmass.explain.sheets import word_masses
from attnmass.explain.telling import picked
from attnmass.options.checks import finite
from attnmass.results.trace import Floats

if TYPE_CHECKING:
    from attnmass.results.answer_explanation import AnswerExplanation
    from attnmass.results.drawn import ExplainedChunk, Piece
    from attnmass.results.explanation import Explanation
    from attnmass.results.support import AnswerSentence, Support


def as_dict(explanation: Explanation) -> dict[str, Any]:
    """See `Explanation.to_dict`.

    `chunks` have `words`, each with `start` and `end` into the chunk's `read`, its `mass` as chunks
    are ranked, and its mass by each of `heads`; `by_query_word` has one mass for each of
    `query_words`, if those were told apart. `pieces` say what `read` consists of.
    """
    n_query = len(explanation.query_words)
    return {
        "query": explanation.query,
        "query_words": [
            {"text": explanation.query[start:end], "start": start, "end": end}
            for start, end in explanation.query_words
        ],
        "model": explanation.model,
        "layout": explanation.layout,
        "heads": [list(head) for head in explanation.heads],
        "weights": [_short(weight) for weight in explanation.views[0].weights],
        "evidence": _short(explanation.evidence),
        **picked(explanation, "no_evidence", "threshold", "n_tokens_before", "n_tokens_after"),
        "notes": list(explanation.notes),
        "chunks": [
            _chunk(chunk) | _read(chunk, explanation.views[0].weights, "by_query_word", n_query)
            for chunk in explanation.chunks
        ],
    }


def answer_as_dict(explanation: AnswerExplanation) -> dict[str, Any]:
    """See `AnswerExplanation.to_dict`.

    `sentences` have their `spans`, best first, with `start` and `end` into the own text of a chunk
    (`chunk` is its `index`); `chunks` have `words` as those of a ranking, with the mass from each
    sentence in `by_sentence`, and `pieces` that say `by` which sentences, counted from 1, they are
    named.
    """
    return {
        "query": explanation.query,
        "answer": explanation.answer,
        "model": explanation.model,
        "heads": [list(head) for head in explanation.heads],
        "weights": [_short(weight) for weight in explanation.views[0].weights],
        "threshold": explanation.threshold,
        "notes": list(explanation.notes),
        "sentences": [_sentence(sentence) for sentence in explanation.sentences],
        "chunks": [
            {
                "place": chunk.place,
                "index": chunk.ranked.index,
                "score": _short(chunk.ranked.score),
                "n_tokens": chunk.ranked.n_tokens,
                "skipped": chunk.ranked.skipped,
                "title": chunk.title,
                "start": chunk.start,
            }
            | _read(chunk, explanation.views[0].weights, "by_sentence", len(explanation.sentences))
            for chunk in explanation.chunks
        ],
    }


def _sentence(sentence: AnswerSentence) -> dict[str, Any]:
    return {
        **picked(sentence, "text", "start", "end"),
        "support": _short(sentence.support),
        "supported": sentence.supported,
        "scores": [_short(score) for score in sentence.scores],
        "spans": [_span(span) for span in sentence.spans],
    }


def _span(span: Support) -> dict[str, Any]:
    return asdict(span) | {"score": _short(span.score), "mass": _short(span.mass)}


def _chunk(chunk: ExplainedChunk) -> dict[str, Any]:
    ranked = chunk.ranked
    return {
        "place": chunk.place,
        "index": ranked.index,
        "score": _short(ranked.score),
        "mass": _short(ranked.mass),
        "retrieval_score": finite(ranked.retrieval_score),
        "share": finite(ranked.share),
        "relevance": finite(ranked.relevance),
        **picked(ranked, "n_tokens", "n_windows", "skipped", "dropped"),
        "title": chunk.title,
        "id": chunk.id,
        "doc_start": chunk.offset,
    }


def _read(
    chunk: ExplainedChunk, weights: tuple[float, ...], rows: str, n_rows: int
) -> dict[str, Any]:
    """What the model read of a chunk, with the mass of its words, also from each of the `rows`."""
    masses = word_masses(chunk, weights)
    asked = [word_masses(chunk, weights, row) for row in range(n_rows)]
    return {
        "read": chunk.read,
        "pieces": [_piece(piece) for piece in chunk.pieces],
        "words": [
            {"start": start, "end": end, "mass": _short(masses[i])}
            | {"heads": _shorts(chunk.masses[:, i])}
            | ({rows: [_short(each[i]) for each in asked]} if asked else {})
            for i, (start, end) in enumerate(chunk.words.tolist())
        ],
    }


def _piece(piece: Piece) -> dict[str, Any]:
    told = asdict(piece)
    by = told.pop("by")
    for name in ("score", "mass", "relevance"):
        told[name] = None if told[name] is None else _short(told[name])
    return told | ({"by": list(by)} if by else {})


def _shorts(numbers: Floats) -> list[float]:
    return [_short(number) for number in numbers.tolist()]


def _short(number: float) -> float:
    return round(float(number), 7)
