"""The page of an attribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnmass.explain.html import chunk_rows, make_sheets, render, span_anchor, width
from attnmass.explain.shown import answer_verdict, shown, span_place

if TYPE_CHECKING:
    from attnmass.results.answer_explanation import AnswerExplanation
    from attnmass.results.drawn import ExplainedChunk
    from attnmass.results.support import AnswerSentence, Support


def answer_page(explanation: AnswerExplanation) -> str:
    """An HTML page like that of a ranking, with the answer above the chunks."""
    sentences, threshold = explanation.sentences, explanation.threshold
    sheets = make_sheets(explanation, len(sentences))
    largest = max([each.support for each in sentences] + [threshold or 0.0])
    n_chunks = len(explanation.chunks)
    return render(
        "answer.html",
        explanation,
        sheets,
        choices=["the whole answer", *(_choice(n, s) for n, s in enumerate(sentences, start=1))],
        summary=f"{len(sentences)} {'sentence' if len(sentences) == 1 else 'sentences'}, "
        f"{n_chunks} {'chunk' if n_chunks == 1 else 'chunks'}",
        sentences=[_sentence(each, explanation, largest) for each in sentences],
        n_unsupported=sum(each.supported is False for each in sentences),
        verdict=answer_verdict(sentences, threshold),
        threshold=threshold,
        tick=None if threshold is None else width(threshold, largest),
        sections=[
            {
                "title": "Chunks, those that the answer looked at most first",
                "rows": chunk_rows(explanation, sheets["0.0"], _facts),
                "out": False,
            }
        ],
    )


def _choice(number: int, sentence: AnswerSentence) -> str:
    lack = ", unsupported" if sentence.supported is False else ""
    return f"sentence {number} of the answer (support {sentence.support:.4f}{lack})"


def _sentence(
    sentence: AnswerSentence, explanation: AnswerExplanation, largest: float
) -> dict[str, Any]:
    titles = {chunk.ranked.index: chunk.title for chunk in explanation.chunks}
    return {
        "text": shown(sentence.text),
        "support": sentence.support,
        "bar": width(sentence.support, largest),
        "unsupported": sentence.supported is False,
        "spans": [_span(span, titles[span.chunk]) for span in sentence.spans],
    }


def _span(span: Support, title: str | None) -> dict[str, Any]:
    facts = [f"score {span.score:.4f}", f"mass {span.mass:.4f}"]
    if span.doc_start is not None:
        facts.append(f"characters {span.doc_start} to {span.doc_end} of its document")
    return {
        "id": span_anchor(span.chunk, span.start),
        "place": shown(span_place(span, title)),
        "text": shown(span.text),
        "facts": facts,
    }


def _facts(chunk: ExplainedChunk) -> list[str]:
    return [f"chunk {chunk.ranked.index + 1}", f"{chunk.ranked.n_tokens} tokens"]
