"""What is drawn, and the ways to draw it that do not depend on what it is of."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from attnmass.options.keywords import names_nearest
from attnmass.results.renderers import renderer
from attnmass.results.trace import Floats, Integers
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.lines import beginning, counted

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
        group: What a menu lists it under: what these heads are for.
    """

    label: str
    weights: tuple[float, ...]
    group: str = ""


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
        relevance: As `score`.
        number: The one that `cite` gives a kept span, from 1.
    """

    part: Part
    start: int
    end: int
    kept: bool | None = None
    reason: str | None = None
    score: float | None = None
    mass: float | None = None
    by: tuple[int, ...] = ()
    relevance: float | None = None
    number: int | None = None


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
        id: The id that a framework gives it; `None` where there is none.
        offset: Where its own text begins in the document that it is part of, where that is known.
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
    id: str | None = None
    offset: int | None = None


@names_nearest
@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Drawn:
    """What is drawn of a ranking or an attribution, and the ways to draw it.

    Attributes:
        query: The query.
        model: The model that was read.
        heads: `(layer, head)`, 0-based, in the order of all masses.
        views: Ways to look at them: all heads as chunks are ranked by them, as sentences are scored
            by them where that differs and there are such scores, then each head alone.
        chunks: In the order in which they are drawn.
        threshold: What evidence or support was compared with; `None` for nothing.
        notes: As in what is drawn.
    """

    query: str
    model: str
    heads: tuple[Head, ...]
    views: tuple[View, ...]
    chunks: tuple[ExplainedChunk, ...]
    threshold: float | None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        n_words = sum(len(chunk.words) for chunk in self.chunks)
        return (
            f"{type(self).__name__} of {counted(len(self.chunks), 'chunk')} for "
            f"{beginning(self.query)}: {counted(n_words, 'word')}, "
            f"{counted(len(self.heads), 'head')} of {self.model}; .print() or .to_html() draws it"
        )

    def draw(self, how: str, **options: Any) -> Any:
        """What the renderer of this name makes of it, such as one of your own.

        Args:
            how: `"html"`, `"dict"`, `"terminal"`, or what was registered, see
                `attnmass.results.renderers`.
            **options: The renderer's.

        Raises:
            ValueError: If there is no such renderer; names those that exist.
        """
        return renderer(self, how)(self, **options)

    def to_dict(self) -> dict[str, Any]:
        """All of it in JSON's types; masses are rounded to seven decimals."""
        found: dict[str, Any] = self.draw("dict")
        return found

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """One HTML page that needs nothing else: no network, and no script but its own.

        Args:
            path: A file to write it to as well, in UTF-8.
        """
        html: str = self.draw("html")
        if path is not None:
            Path(path).write_text(html, encoding="utf-8", newline="\n")
        return html

    def to_json(self) -> str:
        """`to_dict` as JSON, in ASCII."""
        return json.dumps(self.to_dict(), separators=(",", ":"), allow_nan=False)

    def _repr_html_(self) -> str:
        cell: str = self.draw("cell")
        return cell

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.draw("terminal").__rich_console__(console, options)

    def _print(self, console: Console | None, head: Head | None, **options: Any) -> None:
        view = self.view(head)
        drawing = self.draw("terminal", view=view, **options)  # says so where rich is missing
        if console is None:
            from rich.console import Console

            console = Console()
        console.print(drawing)

    def view(self, head: Head | None = None) -> int:
        """Index into `views`: that of all heads as chunks are ranked, or of one alone.

        Raises:
            ValueError: If the head was not read.
        """
        if head is None:
            return 0
        if head not in self.heads:
            raise ValueError(f"head {head} was not read: pass one of {self.heads}")
        return len(self.views) - len(self.heads) + self.heads.index(head)
