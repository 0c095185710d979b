"""An attribution in a terminal, with rich."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attnmass.explain.sheets import make_sheet
from attnmass.explain.shown import answer_verdict, full_support, span_place
from attnmass.explain.terminal import Look, bar, clean, draw_chunk, legend, printable

try:
    from rich.text import Text
except ImportError as error:  # pragma: no cover: the tests have it
    raise ImportError(
        "drawing in a terminal needs rich: pip install 'attnmass[explain]', or use to_html()"
    ) from error

if TYPE_CHECKING:
    from attnmass.results.answer_explanation import AnswerExplanation
    from attnmass.results.support import AnswerSentence


@printable
def drawing(
    look: Look, explanation: AnswerExplanation, view: int = 0, sentence: int | None = None
) -> Iterator[Text]:
    """An attribution in one of its views, from all of the answer or one of its sentences."""
    sheet = make_sheet(explanation, view, sentence)
    yield Text(clean(explanation.query), style="bold")
    yield Text(answer_verdict(explanation.sentences, explanation.threshold))
    full = full_support(explanation.threshold)
    for place, said in enumerate(explanation.sentences):
        yield from _sentence(place, said, explanation, full, look, spans=sentence in (None, place))
    source = "the whole answer" if sentence is None else f"sentence {sentence + 1}"
    yield Text()
    yield from legend(explanation, sheet, view, source, "{1} looked at by sentence 1", look)
    largest = max(sheet.masses, default=0.0)
    for chunk, levels, mass in zip(explanation.chunks, sheet.levels, sheet.masses, strict=True):
        facts = [f"mass {mass:.4f}", f"chunk {chunk.ranked.index + 1}"]
        yield from draw_chunk(chunk, levels, bar(mass, largest, look), facts, look)


def _sentence(
    place: int,
    sentence: AnswerSentence,
    explanation: AnswerExplanation,
    full: float,
    look: Look,
    *,
    spans: bool,
) -> Iterator[Text]:
    yield Text(f"\n{{{place + 1}}} {clean(sentence.text)}", style="bold" if spans else "")
    support = bar(min(sentence.support, full), full, look).append(
        f" support {sentence.support:.4f}"
    )
    if sentence.supported is False:
        support.append(f" {look.dropped} unsupported", style="bold")
    yield support
    if not spans:
        return
    titles = {chunk.ranked.index: chunk.title for chunk in explanation.chunks}
    for span in sentence.spans:
        where = clean(span_place(span, titles[span.chunk]))
        yield Text(f"    {span.score:.4f} {where}: ", style="dim").append(
            " ".join(clean(span.text).split())
        )
