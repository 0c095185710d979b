"""What is drawn of an attribution: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnmass.results.drawn import Drawn, Head
from attnmass.results.support import AnswerSentence

if TYPE_CHECKING:
    from rich.console import Console


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
        """Draw it in the terminal.

        Args:
            console: Where to, a `rich.console.Console`; default: standard output.
            head: Look through this `(layer, head)` alone; default: all, weighted.
            sentence: Where this one of `sentences` looked, 0-based; default: all of them.

        Raises:
            ValueError: If there is no such head, or no such sentence.
            ImportError: If rich is not installed; says how to install it.
        """
        if sentence is not None and not 0 <= sentence < len(self.sentences):
            raise ValueError(
                f"sentence must be at least 0 and below {len(self.sentences)}, not {sentence}"
            )
        self._print(console, head, sentence=sentence)
