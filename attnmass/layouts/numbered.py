"""Chunks one after the other in a context, each with its number."""

from __future__ import annotations

from collections.abc import Sequence

from attnmass.layouts.base import LayoutOptions
from attnmass.layouts.contexts import Placed
from attnmass.layouts.windows import Window, cut, lowest
from attnmass.text.tokens import PlainTokenizer, Tokens


class Numbered:
    """Lays out windows of chunks as in-context re-ranking does: `[1] `, text, a blank line.

    Attributes:
        gap: Token ids of the blank line.
    """

    def __init__(self, before: tuple[int, ...], plain: PlainTokenizer) -> None:
        """Bind to a tokenizer.

        Args:
            before: What a context begins with.
            plain: Our own copy of the tokenizer.
        """
        self._before = before
        self._plain = plain
        self.gap = plain.template("\n\n")
        self._labels: dict[int, tuple[int, ...]] = {}

    def context(
        self, windows: Sequence[Window], chunks: Sequence[Tokens]
    ) -> tuple[tuple[int, ...], list[Placed]]:
        """Token ids of the prefix and numbered windows, and where the windows are."""
        ids = list(self._before)
        placed = []
        for number, window in enumerate(windows, 1):
            ids += self.label(number)
            placed.append(Placed(window, len(ids)))
            ids += window.ids(chunks)
            ids += self.gap
        return tuple(ids), placed

    def windows(
        self, chunks: Sequence[Tokens], room: int | None, options: LayoutOptions
    ) -> tuple[list[Window], int]:
        """Windows each of which fits into a context, and how many tokens surround one."""
        n_windows = len(chunks)
        while True:  # twice at most, except for labels that get longer with their number
            around = self.around(n_windows)
            free = None if room is None else max(1, room - around)
            limit = lowest(free, options.max_chunk_tokens)
            windows = list(cut(chunks, limit, options.overlap))
            if len(windows) <= n_windows:
                return windows, around
            n_windows = len(windows)

    def around(self, n_windows: int) -> int:
        """Tokens around a window, at most."""
        longest = max(len(self.label(number)) for number in range(1, n_windows + 1))
        return longest + len(self.gap)

    def label(self, number: int) -> tuple[int, ...]:
        """Token ids of a window's number, from 1."""
        if number not in self._labels:
            self._labels[number] = self._plain.template(f"[{number}] ")
        return self._labels[number]
