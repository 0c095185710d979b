"""The page of an attribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnmass.explain.html import chunk_rows, render, span_anchor, width
from attnmass.explain.menu import choices
from attnmass.explain.shown import answer_verdict, full_support, full_words, shown, span_place
from attnmass.text.lines import counted

if TYPE_CHECKING:
    from attnmass.results.answer_explanation import AnswerExplanation
    from attnmass.results.drawn import ExplainedChunk
    from attnmass.results.support import AnswerSentence, Support


def answer_page(explanation: AnswerExplanation) -> str:
    """An HTML page like that of a ranking, with the answer above the chunks."""
    sentences, threshold = explanation.sentences, explanation.threshold
    found = choices(explanation, len(sentences))
    full = full_support(threshold)
    return render(
        "answer.html",
        explanation,
        found,
        words=["the whole answer", *(_choice(n, s) for n, s in enumerate(sentences, start=1))],
        summary=f"{counted(len(sentences), 'sentence')}, "
        f"{counted(len(explanation.chunks), 'chunk')}",
        sentences=[_sentence(each, explanation, full) for each in sentences],
        n_unsupported=sum(each.supported is False for each in sentences),
        verdict=answer_verdict(sentences, threshold),
        threshold=threshold,
        tick=None if threshold is None else width(threshold, full),
        full=full_words(threshold),
        rows=chunk_rows(explanation, found, _facts),
    )


def _choice(number: int, sentence: AnswerSentence) -> str:
    lack = ", unsupported" if sentence.supported is False else ""
    return f"sentence {number} of the answer (support {sentence.support:.4f}{lack})"


def _sentence(
    sentence: AnswerSentence, explanation: AnswerExplanation, full: float
) -> dict[str, Any]:
    titles = {chunk.ranked.index: chunk.title for chunk in explanation.chunks}
    return {
        "text": shown(sentence.text),
        "support": sentence.support,
        "bar": width(min(sentence.support, full), full),
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
