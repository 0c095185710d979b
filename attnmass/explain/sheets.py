"""Masses as levels of shade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attnmass.results.trace import Floats

if TYPE_CHECKING:
    from attnmass.results.drawn import Drawn, ExplainedChunk

LEVELS = 9
_MOST_WORDS = 4  # that are named next to a chunk

Levels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Everything that is shaded and measured in one view.

    Attributes:
        largest: Mass of the word with the most; white space, where heads like to rest, does not
            count.
        levels: For each chunk, the shade of each word, 0 to `LEVELS`, `[word]`.
        masses: Mass of each chunk.
    """

    largest: float
    levels: tuple[Levels, ...]
    masses: tuple[float, ...]


def make_sheet(drawn: Drawn, view: int = 0, row: int | None = None) -> Sheet:
    """Shade one view.

    Shades follow the square root of a word's mass over the largest mass, so that small masses, as
    most are, can be told apart.

    Args:
        drawn: What is drawn.
        view: Index into its views.
        row: Index of a word of the query, or of a sentence of the answer; `None` for the mean over
            all tokens.
    """
    weights = drawn.views[view].weights
    found = [word_masses(chunk, weights, row) for chunk in drawn.chunks]
    solid = [masses[~chunk.blank] for chunk, masses in zip(drawn.chunks, found, strict=True)]
    largest = max((float(masses.max()) for masses in solid if len(masses)), default=0.0)
    levels = tuple(_levels(masses, largest) for masses in found)
    sums = tuple(min(1.0, float(masses.sum(dtype=np.float64))) for masses in found)
    return Sheet(largest, levels, sums)


def word_masses(
    chunk: ExplainedChunk, weights: tuple[float, ...], row: int | None = None
) -> Floats:
    """Attention on each word of a chunk, over heads as weighted, `[word]`."""
    by_head = chunk.masses
    if row is not None:
        by_head = np.zeros_like(by_head) if chunk.rows is None else chunk.rows[row]
    mixed: Floats = np.asarray(weights, dtype=np.float32) @ by_head
    return mixed


def _levels(masses: Floats, largest: float) -> Levels:
    if largest <= 0:
        return np.zeros(len(masses), np.uint8)
    shares = np.sqrt(np.clip(masses / largest, 0.0, 1.0))
    levels: Levels = np.rint(LEVELS * shares).astype(np.uint8)
    return levels


def most_looked_at(chunk: ExplainedChunk, levels: Levels) -> list[tuple[str, int]]:
    """The words of highest level with it, in falling order; no punctuation, none of level 0."""
    order = np.argsort(-levels.astype(np.int64), kind="stable")
    found: list[tuple[str, int]] = []
    for i in order.tolist():
        text = chunk.read[chunk.words[i, 0] : chunk.words[i, 1]]
        if not levels[i] or len(found) == _MOST_WORDS:
            break
        if any(char.isalnum() for char in text):
            found.append((text, int(levels[i])))
    return found
