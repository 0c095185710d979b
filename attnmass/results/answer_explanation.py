"""What is drawn of an attribution: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnmass.options.keywords import names_nearest
from attnmass.results.drawn import Drawn, Head
from attnmass.results.support import AnswerSentence

if TYPE_CHECKING:
    from rich.console import Console


@names_nearest
@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class AnswerExplanation(Drawn):
    """An answer's attention, drawn over its sentences and the chunks that they looked at.

    The value of a notebook's cell shows it; `print` draws it in a terminal; `to_html` makes a file.
    Its chunks are those that the answer looked at most first; those that were not read last.

    Attributes:
        answer: The answer.
        sentences: The answer's, each with its support and the spans that it looked at; less than
            `threshold` is none.
    """

    answer: str
    sentences: tuple[AnswerSentence, ...]

    def print(
        self,
        console: Console | None = None,
        *,
        head: Head | None = None,
        sentence: int | None = None,
    ) -> None:
        """`Explanation.print`, with where one `sentence`, 0-based, looked; default: all of them."""
        if sentence is not None and not 0 <= sentence < len(self.sentences):
            raise ValueError(
                f"sentence must be at least 0 and below {len(self.sentences)}, not {sentence}"
            )
        self._print(console, head, sentence=sentence)
