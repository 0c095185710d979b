"""What is drawn: plain frozen data, and the ways to draw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from attnmass.explain.drawn import Drawn
from attnmass.results.trace import Floats, Integers
from attnmass.results.types import RankedChunk

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

Head = tuple[int, int]
Part = Literal["title", "before", "text", "after"]


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at several heads.

    Attributes:
        label: What it is called.
        weights: One for each head of `Explanation.heads`, summing to 1.
    """

    label: str
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of what the model read of a chunk, all kept or all left out.

    Attributes:
        part: What it belongs to.
        start: First character, into `ExplainedChunk.read`.
        end: One past its last character.
        kept: Whether trimming kept it; `None` where nothing was decided about it.
        reason: Why, as in `Span`, or of a chunk that was left out whole; else `None`.
        score: Of its span, if it is one.
        mass: Likewise.
        by: Numbers, from 1, of the sentences of an answer that name it among their spans.
    """

    part: Part
    start: int
    end: int
    kept: bool | None = None
    reason: str | None = None
    score: float | None = None
    mass: float | None = None
    by: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedChunk:
    """One chunk with the attention on its words.

    Attributes:
        ranked: The chunk as the ranking has it.
        place: Its new position, 1-based; `None` if it was left out, or not read for an answer.
        title: Its title, if it has one.
        read: What the model read of it; of a chunk that was not scored, its text.
        pieces: What that consists of, in order and without gaps.
        words: `[start, end)` of each word in characters into `read`, `[word, 2]`.
        blank: Which of them are nothing but white space, `[word]`.
        masses: Attention of each head on each word, `[head, word]`.
        rows: The same from each word of the query, if it was asked for, or from each sentence of
            the answer, `[query word or sentence, head, word]`.
        start: Where its own text begins in `read`.
    """

    ranked: RankedChunk
    place: int | None
    title: str | None
    read: str
    pieces: tuple[Piece, ...]
    words: Integers
    blank: npt.NDArray[np.bool_]
    masses: Floats
    rows: Floats | None
    start: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Explanation(Drawn):
    """A ranking's attention, drawn over its text.

    The value of a notebook's cell shows it; `print` draws it in a terminal; `to_html` makes a file.

    Attributes:
        query: The query.
        query_words: `[start, end)` of each of its words, where `query_words=True` was asked for.
        model: The model that was read.
        heads: `(layer, head)`, 0-based, in the order of all masses.
        views: Ways to look at them: all heads as chunks are ranked by them, as sentences are scored
            by them where that differs and the ranking is trimmed, then each head alone.
        chunks: Those that were kept in their new order, then those left out, best first.
        evidence: As in `Ranking`.
        no_evidence: Likewise.
        threshold: What the evidence was held to, `None` for nothing.
        notes: As in `Ranking`.
        n_tokens_before: Likewise.
        n_tokens_after: Likewise.
    """

    query: str
    query_words: tuple[tuple[int, int], ...]
    model: str
    heads: tuple[Head, ...]
    views: tuple[View, ...]
    chunks: tuple[ExplainedChunk, ...]
    evidence: float
    no_evidence: bool
    threshold: float | None
    notes: tuple[str, ...] = ()
    n_tokens_before: int | None = None
    n_tokens_after: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it in JSON's types; masses are rounded to seven decimals."""
        from attnmass.explain.plain import as_dict

        return as_dict(self)

    def print(
        self,
        console: Console | None = None,
        *,
        head: Head | None = None,
        query_word: int | None = None,
    ) -> None:
        """Draw it in the terminal.

        Args:
            console: Where to, a `rich.console.Console`; default: standard output.
            head: Look through this `(layer, head)` alone; default: all, weighted.
            query_word: Where this one of `query_words` looked, 0-based; default: all of them.

        Raises:
            ValueError: If there is no such head, or nothing is known of such a word.
            ImportError: If rich is not installed; says how to install it.
        """
        from attnmass.explain.terminal import Drawing, rich_console

        view = self.view(head)
        self.check_word(query_word)
        (console or rich_console()).print(Drawing(self, view, query_word))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from attnmass.explain.terminal import Drawing

        yield from Drawing(self).__rich_console__(console, options)

    def _page(self) -> str:
        from attnmass.explain.html import page

        return page(self)

    def check_word(self, word: int | None) -> None:
        """Raise `ValueError` for a query word of which nothing is known."""
        if word is None:
            return
        if not self.query_words:
            raise ValueError("query words were not told apart: rank with query_words=True")
        if not 0 <= word < len(self.query_words):
            raise ValueError(f"query_word must be 0 to {len(self.query_words) - 1}, not {word}")
