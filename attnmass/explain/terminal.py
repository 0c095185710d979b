"""The same in a terminal, with rich: shades where there are colours, brackets where there are none.

Colours are those of the 256 that terminals agree on. Kept and left-out text has a sign of its own
either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from attnmass.explain.sheets import LEVELS, Levels, Sheet, make_sheet, most_looked_at
from attnmass.explain.shown import evidence_words, moved, shown, why_dropped

try:
    from rich.console import Console
    from rich.rule import Rule
    from rich.text import Text
except ImportError as error:  # pragma: no cover: the tests have it
    raise ImportError(
        "drawing in a terminal needs rich: pip install 'attnmass[explain]', or use to_html()"
    ) from error

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType

    from attnmass.explain.model import ExplainedChunk, Explanation

# Background of each level: black text on it has a contrast of at least 4.5, and it is on both light
# and dark terminals another colour than the page's.
_SHADES = (None, 230, 229, 228, 222, 221, 220, 214, 208, 202)
_BAR_WIDTH = 24
_STRONG, _SOME = 7, 4  # levels from which a word has two brackets, or one, without colours


class _Look(NamedTuple):
    """What this terminal can show."""

    colour: bool
    kept: str
    dropped: str
    bar: str
    rest: str


def rich_console() -> Console:
    """Standard output."""
    return Console()


@dataclass(frozen=True, slots=True)
class Drawing:
    """An explanation in one view, for rich to print.

    Attributes:
        explanation: What is drawn.
        view: Index into its views.
        word: Index of a word of the query; `None` for all.
    """

    explanation: Explanation
    view: int = 0
    word: int | None = None

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        colour = console.color_system is not None and not console.no_color
        signs = ("+", "-", "#", ".") if options.ascii_only else ("✓", "✗", "█", "░")
        look = _Look(colour, *signs)
        explanation = self.explanation
        sheet = make_sheet(explanation, self.view, self.word)
        yield Text(_clean(explanation.query), style="bold")
        yield from _overview(explanation, sheet, self.view, self.word, look)
        largest = max(sheet.masses, default=0.0)
        out = False
        for chunk, levels, mass in zip(explanation.chunks, sheet.levels, sheet.masses, strict=True):
            if chunk.place is None and not out:
                yield Rule("Left out", characters="-" if options.ascii_only else "─")
                out = True
            yield from _chunk(chunk, levels, mass, largest, look)


def _overview(
    explanation: Explanation, sheet: Sheet, view: int, word: int | None, look: _Look
) -> Iterator[Text]:
    yield _bar(explanation.evidence, 1.0, look).append(
        " " + evidence_words(explanation.evidence, explanation.no_evidence, explanation.threshold)
    )
    if explanation.n_tokens_before is not None:
        yield Text(
            f"{explanation.n_tokens_before:,} tokens before trimming, "
            f"{explanation.n_tokens_after:,} after"
        )
    start, end = (0, 0) if word is None else explanation.query_words[word]
    source = "the whole query" if word is None else f"{_clean(explanation.query[start:end])!r}"
    yield Text(
        f"{explanation.views[view].label}; from {source}; "
        f"most attention on a word: {sheet.largest:.4f}",
        style="dim",
    )
    legend = Text("Little ")
    for level in range(1, LEVELS + 1):
        _add_word(legend, str(level), level, look)
        legend.append("" if look.colour else " ")
    yield legend.append(f" most; {look.kept} kept, {look.dropped} left out")
    for note in explanation.notes:
        yield Text(note, style="dim")


def _chunk(
    chunk: ExplainedChunk,
    levels: Levels,
    mass: float,
    largest: float,
    look: _Look,
) -> Iterator[Text]:
    ranked = chunk.ranked
    place = "" if chunk.place is None else f"{chunk.place}. "
    title = _clean((chunk.title or f"Chunk {ranked.index + 1}").strip())
    yield Text(f"\n{place}{title}", style="bold")
    yield _bar(mass, largest, look).append(f" mass {mass:.4f}, {moved(chunk.place, ranked.index)}")
    if ranked.dropped:
        yield Text(f"{look.dropped} left out: {why_dropped(ranked.dropped)}")
    if ranked.skipped and ranked.skipped != ranked.dropped:
        yield Text(f"{look.dropped} not scored: {why_dropped(ranked.skipped)}")
    text = _text(chunk, levels, look)
    if text.plain.strip():
        yield text
    top = most_looked_at(chunk, levels)
    if top:
        words = ", ".join(f"{_clean(word)} {level}/{LEVELS}" for word, level in top)
        yield Text(f"Most looked at: {words}", style="dim")


def _text(chunk: ExplainedChunk, levels: Levels, look: _Look) -> Text:
    """The chunk's text, what was read around it included, but for its title."""
    text = Text()
    number = 0
    last: str | None = None
    for piece in chunk.pieces:
        style = "dim" if piece.kept is False else ""
        if piece.part != "title":
            if piece.kept:
                text.append(f"{look.kept} ")
                last = None
            elif piece.kept is False and piece.reason not in (last, chunk.ranked.dropped):
                text.append(f"{look.dropped} ({why_dropped(piece.reason)}) ", style="bold")
                last = piece.reason
        place = piece.start
        while number < len(levels) and chunk.words[number, 0] < piece.end:
            start, end = chunk.words[number].tolist()
            if piece.part != "title":
                text.append(_clean(chunk.read[place:start]), style=style)
                _add_word(text, _clean(chunk.read[start:end]), int(levels[number]), look, style)
            place = end
            number += 1
        if piece.part != "title":
            text.append(_clean(chunk.read[place : piece.end]), style=style)
    return text


def _add_word(text: Text, word: str, level: int, look: _Look, style: str = "") -> None:
    shade = _SHADES[level]
    if look.colour:
        # Dimmed text on a shade could not be read.
        text.append(word, style=style if shade is None else f"color(16) on color({shade})")
    elif word.isspace() or level < _SOME:
        text.append(word)
    else:
        count = 2 if level >= _STRONG else 1
        text.append("[" * count + word + "]" * count)


def _bar(value: float, whole: float, look: _Look) -> Text:
    filled = round(_BAR_WIDTH * value / whole) if whole > 0 else 0
    return Text(look.bar * filled + look.rest * (_BAR_WIDTH - filled))


def _clean(text: str) -> str:
    return shown(text, overrides=False)
