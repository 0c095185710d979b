"""A ranking as one static picture, for places that cannot show pages: words, shades, bars."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnmass.explain.html import environment, width
from attnmass.explain.sheets import LEVELS, Levels, make_sheet
from attnmass.explain.shown import evidence_words, score_facts, shown, why_dropped
from attnmass.text.lines import counted

if TYPE_CHECKING:
    from attnmass.results.drawn import ExplainedChunk
    from attnmass.results.explanation import Explanation

WIDTH = 800
_MARGIN = 16
_SIZE = 14  # of letters
_MOST_LINES = 8  # of one chunk

# How wide letters are, as fractions of their size, about as in Helvetica; other letters are 0.56.
_WIDTHS = {
    letter: share
    for share, letters in (
        (0.24, "ijl'|"),
        (0.29, "ftI.,:;!/\\[] "),
        (0.35, 'r()-`{}*"'),
        (0.5, "cksvxyzJ"),
        (0.62, "FTZL"),
        (0.68, "ABEKPSVXY&"),
        (0.74, "CDHNRUw"),
        (0.79, "GOQ"),
        (0.85, "mM%"),
        (0.95, "W"),
        (1.02, "@"),
    )
    for letter in letters
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word where it is drawn.

    Attributes:
        text: What is written.
        x: Where it begins.
        y: Its baseline.
        width: How wide it is.
        level: Its shade.
        gap: Whether it stands for what was left out.
    """

    text: str
    x: float
    y: float
    width: float
    level: int = 0
    gap: bool = False


def svg(explanation: Explanation, top_n: int = 3) -> str:
    """An SVG of the best chunks, as wide as `WIDTH`; see `Explanation.to_svg`.

    Words are placed by estimated widths, and made to be that wide in whatever font there is.
    """
    sheet = make_sheet(explanation)
    every = list(zip(explanation.chunks, sheet.levels, strict=True))
    kept = [(chunk, levels) for chunk, levels in every if chunk.place is not None]
    best = max((chunk.ranked.score for chunk in explanation.chunks), default=0.0)
    y = _MARGIN + 22
    head = list(_lines(_plain(explanation.query), y, size=18, most=3, stretch=1.08))
    y = int(head[-1].y) if head else y
    verdict = evidence_words(explanation.evidence, explanation.no_evidence, explanation.threshold)
    y += 26
    rows = []
    top = y + 10
    for chunk, levels in kept[:top_n]:
        row, top = _row(chunk, levels, top, best)
        rows.append(row)
    return (
        environment()
        .get_template("picture.svg")
        .render(
            width=WIDTH,
            height=top + 40,
            margin=_MARGIN,
            query=_clear(explanation.query),
            head=head,
            verdict=verdict,
            verdict_y=y,
            rows=rows,
            more=_rest(len(kept) - len(rows), len(every) - len(kept), bool(kept)),
            foot=top + 22,
            model=_clear(explanation.model),
            levels=range(1, LEVELS + 1),
            size=_SIZE,
        )
    )


def _rest(n_more: int, n_out: int, any_kept: bool) -> str:
    """How many chunks are not in the picture: kept ones, and those that were left out."""
    parts = [] if any_kept or not n_out else ["no chunk was kept"]
    if n_more:
        parts.append(f"and {counted(n_more, 'more chunk')}")
    if n_out:
        parts.append(f"{n_out:,} left out")
    return ", ".join(parts)


def _row(
    chunk: ExplainedChunk, levels: Levels, top: int, best: float
) -> tuple[dict[str, Any], int]:
    """One chunk whose picture begins at `top`, and where the next one's does."""
    name = " ".join((chunk.title or f"Chunk {chunk.ranked.index + 1}").split())
    title = _fitted(f"{chunk.place}. {_clear(name)}", WIDTH - 2 * _MARGIN, 15)
    words = list(_lines(_words(chunk, levels), top + 62, size=_SIZE, most=_MOST_LINES))
    last = int(words[-1].y) if words else top + 40
    row = {
        "title": title,
        "title_y": top + 18,
        "bar_y": top + 29,
        "bar": width(chunk.ranked.score, best),
        "facts": ", ".join(score_facts(chunk.ranked)),
        "words": words,
        "line_y": top,
    }
    return row, last + 20


def _words(chunk: ExplainedChunk, levels: Levels) -> Iterator[tuple[str, int, bool]]:
    """Words of a chunk's own text with their levels; for what was left out, the reason."""
    number, last = 0, ""
    for piece in chunk.pieces:
        out = piece.kept is False
        if out and piece.part == "text" and piece.reason != last:
            yield f"[{why_dropped(piece.reason)}]", 0, True
        if piece.part == "text" and piece.kept is not None:
            last = (piece.reason or "") if out else ""
        place = piece.start
        while number < len(levels) and chunk.words[number, 0] < piece.end:
            start, end = chunk.words[number].tolist()
            if piece.part == "text" and not out:
                yield from _plain(chunk.read[place:start])
                yield chunk.read[start:end], int(levels[number]), False
            place = end
            number += 1
        if piece.part == "text" and not out:
            yield from _plain(chunk.read[place : piece.end])


def _plain(text: str) -> Iterator[tuple[str, int, bool]]:
    """A text without shades, white space and words in turn."""
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or text[place].isspace() != text[start].isspace():
            yield text[start:place], 0, False
            start = place


def _lines(
    words: Iterator[tuple[str, int, bool]],
    y: float,
    *,
    size: int,
    most: int,
    stretch: float = 1.0,
) -> Iterator[Word]:
    """Words on lines, mirrored where the first letter is of a right-to-left script.

    Args:
        words: White space and words with their levels, and whether they stand for what is left out.
        y: The first line's baseline.
        size: Of letters.
        most: How many lines at most; what does not fit becomes an ellipsis.
        stretch: How much wider these letters are than others.
    """
    x, line, whole = float(_MARGIN), 0, WIDTH - 2 * _MARGIN
    mirrored: bool | None = None
    height = size * 1.6
    for raw, level, gap in words:
        if raw.isspace():
            x += _width(" ", size) if x > _MARGIN else 0
            continue
        text = _clear(raw)
        if mirrored is None and (side := _side(text)) is not None:
            mirrored = side == "right"
        wide = _width(text, size) * stretch
        if x + wide > _MARGIN + whole and x > _MARGIN:
            x, line = float(_MARGIN), line + 1
        if line == most:
            yield Word("…", _MARGIN, round(y + line * height, 1), size)
            return
        text = _fitted(text, whole, size)
        wide = min(wide, whole)
        left = WIDTH - x - wide if mirrored else x
        yield Word(text, round(left, 1), round(y + line * height, 1), round(wide, 1), level, gap)
        x += wide


def _side(text: str) -> str | None:
    """From which side a text is written, by its first letter; `None` where there is none."""
    for char in text:
        kind = unicodedata.bidirectional(char)
        if kind in ("L", "R", "AL"):
            return "left" if kind == "L" else "right"
    return None


def _clear(text: str) -> str:
    """A text that XML can hold and that does not turn the direction of writing."""
    text = shown(text, overrides=False)
    return "".join("\ufffd" if ord(char) in (0xFFFE, 0xFFFF) else char for char in text)


def _width(text: str, size: int) -> float:
    """About how wide a text is."""
    return sum(_share(char) for char in text) * size


def _share(char: str) -> float:
    if unicodedata.east_asian_width(char) in ("W", "F"):
        return 1.05
    if unicodedata.category(char)[0] in "MC":
        return 0.0
    return 1.04 * _WIDTHS.get(char, 0.56)


def _fitted(text: str, most: float, size: int) -> str:
    """As much of a text as fits."""
    wide, end = 0.0, 0  # where an ellipsis still fits
    for place, char in enumerate(text):
        wide += _share(char) * size
        if wide <= most - size:
            end = place + 1
        elif wide > most:
            return text[:end] + "…"
    return text
