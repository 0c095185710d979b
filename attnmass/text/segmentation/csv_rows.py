"""Comma-separated rows in a text, and their header."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from attnmass.text.segmentation.code_lines import is_code, is_marked
from attnmass.text.segmentation.regions import Piece, Region

_DELIMITERS = (",", ";", "\t", "|")
_MIN_ROWS = 3
_MIN_COLUMNS = 2
_MAX_ROW_LINES = 20  # a quote that is not closed within this many lines is not one
_NUMERIC = frozenset("0123456789.,+-/:% $€£")

Row = tuple[int, int, list[str]]  # its lines, its cells


class RowFinder:
    """Finds rows in the lines of one text, asked from the first line to the last."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Bind to the lines."""
        self._lines = lines
        self._done = dict.fromkeys(_DELIMITERS, 0)  # the line up to which there are none
        self.columns = 0  # in what was found last

    def at(self, first: int) -> Region | None:
        """The rows that begin with a line.

        A row that is cut off at the beginning or the end of the text is one of them.
        """
        lines = self._lines
        if lines[first][:1].isspace() or is_marked(lines[first]):
            return None
        for delimiter in _DELIMITERS:
            if first < self._done[delimiter] or delimiter not in lines[first]:
                continue
            rows = _rows(lines, first, delimiter)
            cut = first == 0 and len(rows) == 1 and len(lines) > 1
            if cut and delimiter in lines[1]:
                rest = _rows(lines, 1, delimiter)
                cut = bool(rest) and len(rest[0][2]) > len(rows[0][2])
                rows += rest if cut else []
            if _is_table(rows[1:] if cut else rows, delimiter, lines):
                self.columns = len(rows[-1][2])
                return _region(rows, lines, delimiter, cut=cut)
            # Those below have the same number of cells.
            self._done[delimiter] = rows[-1][1] if rows and not cut else first + 1
        return None


def _rows(lines: Sequence[str], first: int, delimiter: str) -> list[Row]:
    """Rows like the first, in number of cells and in space before them, by Python's own reader."""
    read = 0
    begun = 0

    def feed() -> Iterator[str]:
        nonlocal read
        while first + read < len(lines) and read - begun < _MAX_ROW_LINES:
            read += 1
            yield lines[first + read - 1] + "\n"

    found: list[Row] = []
    like: tuple[int, bool] | None = None
    try:
        for cells in csv.reader(feed(), delimiter=delimiter, strict=True):
            this = len(cells), _is_spaced(cells)
            if not any(cell.strip() for cell in cells) or (like is not None and this != like):
                break
            like = this
            found.append((first + begun, first + read, cells))
            begun = read
    except csv.Error:  # a quote inside a cell, or one that stays open
        pass
    return found


def _is_spaced(cells: Sequence[str]) -> bool:
    return any(cell.startswith(" ") for cell in cells[1:])


def _is_table(rows: Sequence[Row], delimiter: str, lines: Sequence[str]) -> bool:
    """Whether that is data, and not prose, verse or code with the same number of commas a line."""
    if len(rows) < _MIN_ROWS:
        return False
    columns = len(rows[0][2])
    ends = [[cells[0].strip() for cells in _cells(rows)], [c[-1].strip() for c in _cells(rows)]]
    if columns < _MIN_COLUMNS or not all(map(any, ends)):
        return False
    if 2 * sum(is_code(lines[row[0]]) for row in rows) > len(rows):
        return False
    if delimiter != "\t" and _is_spaced(rows[0][2]):
        numbers = [all(map(_is_number, column)) for column in zip(*_cells(rows[1:]), strict=True)]
        return any(numbers) and columns > _MIN_COLUMNS and len(rows) > _MIN_ROWS
    if columns == _MIN_COLUMNS and delimiter == ",":  # 1,000 and other large numbers
        return not all(a[-1:].isdigit() and b[:1].isdigit() for a, b in _cells(rows))
    return True


def _region(
    rows: Sequence[Row], lines: Sequence[str], delimiter: str, *, cut: bool = False
) -> Region:
    pieces = [Piece(start, end, "table") for start, end, _ in rows]
    if not cut and _is_header(rows):
        pieces[0] = Piece(pieces[0].first, pieces[0].last, "heading")
    last = pieces[-1].last
    if last == len(lines) - 1 and lines[last].count(delimiter):  # cut off in the middle
        pieces.append(Piece(last, last + 1, "table"))
    return Region(pieces[0].first, pieces[-1].last, tuple(pieces))


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    return [cells for _, _, cells in rows]


def _is_header(rows: Sequence[Row]) -> bool:
    """Whether the first row names the columns: all named, no numbers, and others have some."""
    names = [cell.strip() for cell in rows[0][2]]
    if not all(names) or len(set(names)) < len(names) or any(map(_is_number, names)):
        return False
    return any(_is_number(cell) for row in rows[1:] for cell in row[2])


def _is_number(cell: str) -> bool:
    cell = cell.strip()
    return any(char.isdigit() for char in cell) and _NUMERIC.issuperset(cell)
