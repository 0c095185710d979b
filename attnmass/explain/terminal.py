"""The same in a terminal, with rich: shades where there are colours, brackets where there are none.

Colours come from the 256 that terminals agree on. Kept and left-out text have their own signs
either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec

from attnmass.explain.sheets import LEVELS, Levels, Sheet, make_sheet, most_looked_at
from attnmass.explain.shown import evidence_words, moved, score_facts, shown, why_dropped

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

    from attnmass.results.drawn import Drawn, ExplainedChunk
    from attnmass.results.explanation import Explanation

Told = ParamSpec("Told")

# Background of each level: black text on it has a contrast of at least 4.5, and on light and dark
# terminals alike it differs from the page's own colour.
_SHADES = (None, 230, 229, 228, 222, 221, 220, 214, 208, 202)
_BAR_WIDTH = 24
_ELSEWHERE = "The texts of what was left out are on the page: to_html(), or --output FILE.html."
_STRONG, _SOME = 7, 4  # levels from which a word has two brackets, or one, without colours


class Look(NamedTuple):
    """What this terminal can show."""

    colour: bool
    kept: str
    dropped: str
    bar: str
    rest: str
    rule: str


def look_of(console: Console, options: ConsoleOptions) -> Look:
    """What a terminal can show."""
    colour = console.color_system is not None and not console.no_color
    signs = ("+", "-", "#", ".", "-") if options.ascii_only else ("✓", "✗", "█", "░", "─")
    return Look(colour, *signs)


class Drawing:
    """What rich prints: lines, made once it is known what the terminal can show."""

    def __init__(self, lines: Callable[[Look], Iterator[RenderableType]]) -> None:
        self._lines = lines

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        yield from self._lines(look_of(console, options))


def printable(
    lines: Callable[Concatenate[Look, Told], Iterator[RenderableType]],
) -> Callable[Told, Drawing]:
    """From what yields lines for a terminal with a given `Look` to what makes a `Drawing`."""

    @wraps(lines)
    def draw(*told: Told.args, **options: Told.kwargs) -> Drawing:
        return Drawing(lambda look: lines(look, *told, **options))

    return draw


@printable
def drawing(
    look: Look, explanation: Explanation, view: int = 0, query_word: int | None = None
) -> Iterator[RenderableType]:
    """An explanation in one of its views, from all of the query or one of its words."""
    sheet = make_sheet(explanation, view, query_word)
    yield Text(clean(explanation.query), style="bold")
    yield from _overview(explanation, sheet, view, query_word, look)
    best = max((chunk.ranked.score for chunk in explanation.chunks), default=0.0)
    out = False
    whole = True  # a few lines will do for what is left out, except the best if nothing is kept
    for chunk, levels, mass in zip(explanation.chunks, sheet.levels, sheet.masses, strict=True):
        if chunk.place is None and not out:
            yield Rule("Left out", characters=look.rule)
            out = True
        facts = [*score_facts(chunk.ranked), f"mass {mass:.4f}"]
        facts.append(moved(chunk.place, chunk.ranked.index))
        score = bar(chunk.ranked.score, best, look)
        yield from draw_chunk(
            chunk, levels, score, facts, look, whole=whole or chunk.place is not None
        )
        whole = False
    if any(chunk.place is None for chunk in explanation.chunks[1:]):
        yield Text(f"\n{_ELSEWHERE}", style="dim")


def _overview(
    explanation: Explanation, sheet: Sheet, view: int, word: int | None, look: Look
) -> Iterator[Text]:
    yield bar(explanation.evidence, 1.0, look).append(
        " " + evidence_words(explanation.evidence, explanation.no_evidence, explanation.threshold)
    )
    if explanation.n_tokens_before is not None:
        yield Text(
            f"{explanation.n_tokens_before:,} tokens before trimming, "
            f"{explanation.n_tokens_after:,} after"
        )
    start, end = (0, 0) if word is None else explanation.query_words[word]
    source = "the whole query" if word is None else f"{clean(explanation.query[start:end])!r}"
    signs = f"{look.kept} kept, {look.dropped} left out"
    yield from legend(explanation, sheet, view, source, signs, look)


def legend(
    drawn: Drawn, sheet: Sheet, view: int, source: str, signs: str, look: Look
) -> Iterator[Text]:
    """What is shown, what the shades mean, and the notes.

    Args:
        drawn: What is drawn.
        sheet: How it is shaded.
        view: Index into its views.
        source: From where attention is looked at, in words.
        signs: What signs in the text mean.
        look: What the terminal can show.
    """
    yield Text(
        f"{drawn.views[view].label}; from {source}; most attention on a word: {sheet.largest:.4f}",
        style="dim",
    )
    shades = Text("Little ")
    for level in range(1, LEVELS + 1):
        _add_word(shades, str(level), level, look)
        shades.append("" if look.colour else " ")
    yield shades.append(f" most; {signs}")
    for note in drawn.notes:
        yield Text(note, style="dim")


def draw_chunk(
    chunk: ExplainedChunk,
    levels: Levels,
    bar: Text,
    facts: Sequence[str],
    look: Look,
    *,
    whole: bool = True,
) -> Iterator[Text]:
    """One chunk.

    Args:
        chunk: The chunk.
        levels: The shade of each of its words.
        bar: What it is ordered by, or what it has of the attention.
        facts: What is said next to that.
        look: What the terminal can show.
        whole: Whether its text is drawn.
    """
    ranked = chunk.ranked
    place = "" if chunk.place is None else f"{chunk.place}. "
    title = clean((chunk.title or f"Chunk {ranked.index + 1}").strip())
    yield Text(f"\n{place}{title}", style="bold")
    yield bar.append(f" {', '.join(facts)}")
    if ranked.dropped:
        yield Text(f"{look.dropped} left out: {why_dropped(ranked.dropped)}")
    if ranked.skipped and ranked.skipped != ranked.dropped:
        yield Text(f"{look.dropped} not scored: {why_dropped(ranked.skipped)}")
    text = _text(chunk, levels, look) if whole else Text()
    if text.plain.strip():
        yield text
    top = most_looked_at(chunk, levels)
    if top:
        words = ", ".join(f"{clean(word)} {level}/{LEVELS}" for word, level in top)
        yield Text(f"Most looked at: {words}", style="dim")


def _text(chunk: ExplainedChunk, levels: Levels, look: Look) -> Text:
    """The chunk's text, including what was read around it, except for its title."""
    text = Text()
    number = 0
    last: str | None = None
    for piece in chunk.pieces:
        style = "dim" if piece.kept is False else ""
        if piece.part != "title":
            if piece.by:
                text.append(f"{{{','.join(map(str, piece.by))}}} ", style="bold")
            elif piece.kept:
                text.append(f"{look.kept} ")
                last = None
            elif piece.kept is False and piece.reason not in (last, chunk.ranked.dropped):
                text.append(f"{look.dropped} ({why_dropped(piece.reason)}) ", style="bold")
                last = piece.reason
        place = piece.start
        while number < len(levels) and chunk.words[number, 0] < piece.end:
            start, end = chunk.words[number].tolist()
            if piece.part != "title":
                text.append(clean(chunk.read[place:start]), style=style)
                _add_word(text, clean(chunk.read[start:end]), int(levels[number]), look, style)
            place = end
            number += 1
        if piece.part != "title":
            text.append(clean(chunk.read[place : piece.end]), style=style)
    return text


def _add_word(text: Text, word: str, level: int, look: Look, style: str = "") -> None:
    shade = _SHADES[level]
    if look.colour:
        # Dimmed text on a shade could not be read.
        text.append(word, style=style if shade is None else f"color(16) on color({shade})")
    elif word.isspace() or level < _SOME:
        text.append(word)
    else:
        count = 2 if level >= _STRONG else 1
        text.append("[" * count + word + "]" * count)


def bar(value: float, whole: float, look: Look) -> Text:
    """A value as a bar; `whole` is as long as bars get."""
    filled = round(_BAR_WIDTH * value / whole) if whole > 0 else 0
    return Text(look.bar * filled + look.rest * (_BAR_WIDTH - filled))


def clean(text: str) -> str:
    """A text that cannot steer the terminal."""
    return shown(text, overrides=False)
