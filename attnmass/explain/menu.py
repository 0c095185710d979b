"""What can be chosen on a page: which views of the heads, from where, and how a page stores it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from attnmass.explain.sheets import Sheet, make_sheet

if TYPE_CHECKING:
    from attnmass.results.drawn import Drawn

HEADS_OF_A_KIND = 4  # that are listed singly in a menu

# Bytes that a page may take before single heads are shown for all words together only, and how many
# of these a word takes with its element.
_PAGE_BYTES, _WORD_BYTES = 280_000, 20
_ZEROS = re.compile("0{2,27}")


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """What a page can show.

    Attributes:
        groups: The menu: names, and under each views by their index with their labels.
        sheets: By `view.row`, where row 0 is all rows together.
        drawn: For each chunk, which words are shaded in any of them, `[word]`.
        n_left_out: Single heads that are not in the menu.
    """

    groups: tuple[tuple[str, tuple[tuple[int, str], ...]], ...]
    sheets: dict[str, Sheet]
    drawn: tuple[npt.NDArray[np.bool_], ...]
    n_left_out: int

    def packed(self, sheet: Sheet) -> str:
        """The levels of the words that are drawn, as digits."""
        pairs = zip(sheet.levels, self.drawn, strict=True)
        return pack([levels[drawn] for levels, drawn in pairs])


def choices(drawn: Drawn, n_rows: int) -> Choices:
    """The views that a page has: all heads of one kind together, and the heaviest of each kind.

    Args:
        drawn: What is drawn.
        n_rows: From how many words of the query, or sentences of the answer, attention can be
            looked at. For single heads, these are left out where they would make a page too large.
    """
    groups = _groups(drawn)
    chosen = [index for _, views in groups for index, _ in views]
    sheets = {f"{view}.0": make_sheet(drawn, view) for view in chosen}
    left = _PAGE_BYTES - _WORD_BYTES * sum(len(chunk.words) for chunk in drawn.chunks)
    left -= _bytes_of(sheets)
    for view in chosen if n_rows else ():
        rows = {f"{view}.{row + 1}": make_sheet(drawn, view, row) for row in range(n_rows)}
        left -= _bytes_of(rows)
        if view and left < 0:
            break
        sheets |= rows
    masks = tuple(
        np.any([sheet.levels[number] > 0 for sheet in sheets.values()], axis=0)
        for number in range(len(drawn.chunks))
    )
    return Choices(groups, sheets, masks, len(drawn.views) - len(chosen))


def _bytes_of(sheets: Mapping[str, Sheet]) -> int:
    """What views take in a page."""
    return sum(len(pack(sheet.levels)) + 8 * len(sheet.masses) for sheet in sheets.values())


def _groups(drawn: Drawn) -> tuple[tuple[str, tuple[tuple[int, str], ...]], ...]:
    """Views by group, in the order they appear; of single heads, those with the largest weights."""
    n_together = len(drawn.views) - len(drawn.heads)
    kinds: dict[str, list[int]] = {}
    for index, view in enumerate(drawn.views):
        kinds.setdefault(view.group, []).append(index)

    def weight(index: int) -> float:
        return max(view.weights[index - n_together] for view in drawn.views[:n_together])

    for name, members in kinds.items():
        if members[0] >= n_together:
            kinds[name] = sorted(members, key=weight, reverse=True)[:HEADS_OF_A_KIND]
    return tuple(
        (name, tuple((index, drawn.views[index].label) for index in members))
        for name, members in kinds.items()
    )


def pack(levels: Sequence[npt.NDArray[np.uint8]]) -> str:
    """Levels as digits, in which a letter stands for a run of zeros: `a` for 2, `z` for 27."""
    if not levels:
        return ""
    digits = (np.concatenate(levels) + ord("0")).astype(np.uint8).tobytes().decode("ascii")
    return _ZEROS.sub(lambda run: chr(len(run[0]) + 95), digits)


def page_data(
    found: Choices, words: Sequence[str], chunks: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the script needs: for every view, levels, masses and the largest mass.

    Args:
        found: From `choices`.
        words: Where attention can be looked at from, in words: all together, then each.
        chunks: What is copied as JSON.
    """
    return {
        "choices": words,
        "sheets": {
            key: {
                "largest": f"{sheet.largest:.4f}",
                "levels": found.packed(sheet),
                "masses": [round(mass, 4) for mass in sheet.masses],
            }
            for key, sheet in found.sheets.items()
        },
        "chunks": chunks,
    }
