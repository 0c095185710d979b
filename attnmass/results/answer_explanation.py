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

    As the value of a notebook's cell it is shown; `print` draws it in a terminal; `to_html` makes a
    file. Its chunks begin with those that the answer looked at most, and end with those that were
    not read.

    Attributes:
        answer: The answer.
        sentences: The answer's, each with its support and the spans that it looked at; support
            below `threshold` is none.
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
