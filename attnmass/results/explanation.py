"""What is drawn of a ranking: plain frozen data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attnmass.options.checks import check_count
from attnmass.options.keywords import names_nearest
from attnmass.results.drawn import Drawn, Head

if TYPE_CHECKING:
    from rich.console import Console


@names_nearest
@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Explanation(Drawn):
    """A ranking's attention, drawn over its text.

    As the value of a notebook's cell it is shown; `print` draws it in a terminal; `to_html` makes a
    file. Its chunks are those that were kept, in their new order, then those left out, best first.

    Attributes:
        query_words: `[start, end)` of each word of the query, where `query_words=True` was asked
            for.
        evidence: As in `Ranking`; it was compared with `threshold`.
        no_evidence: Likewise.
        n_tokens_before: Likewise.
        n_tokens_after: Likewise.
        layout: How chunks and query were laid out for the model.
    """

    query_words: tuple[tuple[int, int], ...]
    evidence: float
    no_evidence: bool
    n_tokens_before: int | None = None
    n_tokens_after: int | None = None
    layout: str = ""

    def print(
        self,
        console: Console | None = None,
        *,
        head: Head | None = None,
        query_word: int | None = None,
    ) -> None:
        """Draw it in the terminal.

        Args:
            console: Where to draw, a `rich.console.Console`; default: standard output.
            head: Look through this `(layer, head)` alone; default: all, weighted.
            query_word: Where this one of `query_words` looked, 0-based; default: all of them.

        Raises:
            ValueError: If there is no such head, or nothing is known of such a word.
            ImportError: If rich is not installed; says how to install it.
        """
        self.check_word(query_word)
        self._print(console, head, query_word=query_word)

    def to_svg(self, path: str | os.PathLike[str] | None = None, *, top_n: int = 3) -> str:
        """A picture of the best chunks, for a README or an issue: one SVG without a script.

        It shows what was kept of each, shaded as chunks are ranked; no fonts are in it, and words
        are as wide in any font as their shades.

        Args:
            path: A file to write it to as well, in UTF-8.
            top_n: Draw at most this many of the kept chunks.

        Raises:
            ValueError: If `top_n` is less than 1.
        """
        check_count("top_n", top_n, 1)
        svg: str = self.draw("svg", top_n=top_n)
        if path is not None:
            Path(path).write_text(svg, encoding="utf-8", newline="\n")
        return svg

    def check_word(self, word: int | None) -> None:
        """Raise `ValueError` for a query word of which nothing is known."""
        if word is None:
            return
        if not self.query_words:
            raise ValueError("query words were not told apart: rank with query_words=True")
        if not 0 <= word < len(self.query_words):
            raise ValueError(f"query_word must be 0 to {len(self.query_words) - 1}, not {word}")
