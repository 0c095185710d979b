"""What an answer rests on: where its sentences look in the chunks that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from attnmass.results.renderers import renderer
from attnmass.results.support import AnswerSentence, Support

if TYPE_CHECKING:
    from attnmass.profiles import HeadProfile
    from attnmass.results.answer_explanation import AnswerExplanation
    from attnmass.results.trace import AnswerTrace


@dataclass(frozen=True, slots=True)
class Attribution:
    """What an answer rests on.

    Attributes:
        query: The query.
        answer: The answer.
        sentences: Its sentences, in order.
        scores: Attention mass of every input chunk from all of the answer's sentences together, in
            input order.
        profile: The heads that were read.
        threshold: Of `AnswerSentence.supported`; `None` where none is known.
        notes: What a caller should know: chunks that were split or skipped, in sentences.
        trace: The attention it was made from; `None` on one that was put together by hand.
    """

    query: str
    answer: str
    sentences: tuple[AnswerSentence, ...]
    scores: tuple[float, ...]
    profile: HeadProfile
    threshold: float | None = None
    notes: tuple[str, ...] = ()
    trace: AnswerTrace | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        text: str = renderer(self, "text")(self)
        return text

    @property
    def unsupported(self) -> tuple[AnswerSentence, ...]:
        """Sentences with less support than the threshold; none where there is no threshold."""
        return tuple(each for each in self.sentences if each.supported is False)

    @property
    def ranked(self) -> tuple[int, ...]:
        """Input indices of the chunks, first the one that the answer looked at most."""
        return tuple(sorted(range(len(self.scores)), key=lambda index: -self.scores[index]))

    def explain(self) -> AnswerExplanation:
        """The attention drawn over answer and chunks: HTML, a notebook's cell, a terminal, JSON.

        Raises:
            ValueError: If there is no `trace`.
        """
        explanation: AnswerExplanation = renderer(self, "explanation")(self)
        return explanation

    def with_places(self, place: Callable[[int], tuple[str | None, int | None]]) -> Attribution:
        """The same with each chunk's id, and its place in the document that it is part of.

        Args:
            place: From the input index of a chunk to its id and to where its text begins.
        """

        def placed(span: Support) -> Support:
            chunk_id, offset = place(span.chunk)
            if offset is None:
                return replace(span, chunk_id=chunk_id)
            return replace(
                span,
                chunk_id=chunk_id,
                doc_start=offset + span.start,
                doc_end=offset + span.end,
            )

        sentences = [
            replace(each, spans=tuple(placed(span) for span in each.spans))
            for each in self.sentences
        ]
        return replace(self, sentences=tuple(sentences))
