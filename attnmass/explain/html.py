"""The page: one HTML file with its style and its script in it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from attnmass.explain.sheets import LEVELS, Levels, Sheet, make_sheet, most_looked_at
from attnmass.explain.shown import (
    evidence_words,
    moved,
    score_facts,
    shown,
    why_dropped,
    why_kept,
)

if TYPE_CHECKING:
    from attnmass.results.drawn import Drawn, ExplainedChunk, Piece
    from attnmass.results.explanation import Explanation

Run = tuple[str, str, int]  # text, its element or none, its level

_MOST_LEVELS = 6_000_000  # in one page; with more, browsers get slow
_ZEROS = re.compile("0{2,27}")
_FRAME_HEIGHT = 640  # pixels


def page(explanation: Explanation) -> str:
    """An HTML page; nothing in it can act but its own script, by a content security policy."""
    words = [shown(explanation.query[a:b]) for a, b in explanation.query_words]
    sheets = make_sheets(explanation, len(words))
    return render(
        "page.html",
        explanation,
        sheets,
        choices=["the whole query", *(f"the query\u2019s word “{word}”" for word in words)],
        query_words=words,
        summary=_summary(explanation),
        evidence=explanation.evidence,
        no_evidence=explanation.no_evidence,
        threshold=explanation.threshold,
        evidence_words=evidence_words(
            explanation.evidence, explanation.no_evidence, explanation.threshold
        ),
        sections=_sections(explanation, sheets["0.0"]),
    )


def frame(query: str, html: str) -> str:
    """A page inside a notebook's cell, where its style and script reach nothing else."""
    template = environment().get_template("frame.html")
    return template.render(query=shown(query), page=html, height=_FRAME_HEIGHT)


def render(
    template: str, drawn: Drawn, sheets: dict[str, Sheet], *, choices: Sequence[str], **about: Any
) -> str:
    """A page of what all pages have.

    Args:
        template: Which one.
        drawn: What is drawn.
        sheets: From `make_sheets`.
        choices: Where attention can be looked at from, in words: all together, then each.
        **about: What the template has of its own.
    """
    style, script = _resource("page.css"), _resource("page.js")
    return (
        environment()
        .get_template(template)
        .render(
            query=shown(drawn.query),
            model=shown(drawn.model),
            views=[view.label for view in drawn.views],
            notes=drawn.notes,
            choices=choices,
            largest=sheets["0.0"].largest,
            n_levels=LEVELS,
            data=_data(sheets, choices),
            style=Markup(style),  # these two are files of the package
            script=Markup(script),
            style_hash=_digest(style),
            script_hash=_digest(script),
            **about,
        )
    )


def make_sheets(drawn: Drawn, n_rows: int) -> dict[str, Sheet]:
    """The views that a page has, by `view.row`, where row 0 is all of `n_rows` together."""
    n_views = len(drawn.views)
    n_words = sum(len(chunk.words) for chunk in drawn.chunks)
    # Where heads times rows are too many, single heads are shown for all rows together only.
    fits = n_words * n_views * (n_rows + 1) <= _MOST_LEVELS
    split = n_views if fits else n_views - len(drawn.heads)
    found = {f"{view}.0": make_sheet(drawn, view) for view in range(n_views)}
    found |= {f"{v}.{r + 1}": make_sheet(drawn, v, r) for v in range(split) for r in range(n_rows)}
    return found


def _data(sheets: dict[str, Sheet], choices: Sequence[str]) -> dict[str, Any]:
    """What the script needs: for every view levels, bars, and the largest mass."""
    return {
        "choices": choices,
        "sheets": {
            key: {
                "largest": f"{sheet.largest:.4f}",
                "levels": _packed(sheet),
                "masses": [round(mass, 4) for mass in sheet.masses],
            }
            for key, sheet in sheets.items()
        },
    }


def _packed(sheet: Sheet) -> str:
    """Levels as digits, in which a letter stands for a run of zeros: `a` for 2, `z` for 27."""
    if not sheet.levels:
        return ""
    digits = (np.concatenate(sheet.levels) + ord("0")).astype(np.uint8).tobytes().decode("ascii")
    return _ZEROS.sub(lambda run: chr(len(run[0]) + 95), digits)


def _summary(explanation: Explanation) -> str:
    n_kept = sum(chunk.place is not None for chunk in explanation.chunks)
    n_all = len(explanation.chunks)
    text = f"{n_all} {'chunk' if n_all == 1 else 'chunks'}, {n_kept} kept"
    if explanation.n_tokens_before is not None:
        text += f"; {explanation.n_tokens_before:,} tokens before trimming, "
        text += f"{explanation.n_tokens_after:,} after"
    return text


def _sections(explanation: Explanation, sheet: Sheet) -> list[dict[str, Any]]:
    rows = chunk_rows(explanation, sheet, _facts)
    kept = [row for row in rows if row["place"] is not None]
    gone = [row for row in rows if row["place"] is None]
    found = [{"title": "Kept chunks, in their new order", "rows": kept, "out": False}]
    if gone:
        found.append({"title": "Left out", "rows": gone, "out": True})
    return found


def _facts(chunk: ExplainedChunk) -> list[str]:
    ranked = chunk.ranked
    facts = [moved(chunk.place, ranked.index), *score_facts(ranked)]
    if ranked.retrieval_score is not None:
        facts.append(f"retriever's score {ranked.retrieval_score:.4g}")
    if ranked.relevance is not None:
        facts.append(f"relevance {ranked.relevance:.3f}")
    facts.append(f"{ranked.n_tokens} tokens")
    if ranked.n_windows > 1:
        facts.append(f"read in {ranked.n_windows} windows")
    return facts


def chunk_rows(
    drawn: Drawn, sheet: Sheet, facts: Callable[[ExplainedChunk], list[str]]
) -> list[dict[str, Any]]:
    """What the template shows of each chunk.

    Args:
        drawn: What is drawn.
        sheet: How it is shaded.
        facts: Gives what is said beside a chunk's mass.
    """
    largest = max(sheet.masses, default=0.0)
    return [
        _row(chunk, number, levels, mass, largest, facts(chunk))
        for number, (chunk, levels, mass) in enumerate(
            zip(drawn.chunks, sheet.levels, sheet.masses, strict=True)
        )
    ]


def _row(
    chunk: ExplainedChunk,
    number: int,
    levels: Levels,
    mass: float,
    largest: float,
    facts: list[str],
) -> dict[str, Any]:
    ranked = chunk.ranked
    runs = _Runs(chunk, levels)
    title = [run for piece in chunk.pieces if piece.part == "title" for run in runs.of(piece)]
    if not title and chunk.title:
        title = [(shown(chunk.title), "", 0)]
    return {
        "number": number,
        "place": chunk.place,
        "title": title,
        "name": f"Chunk {ranked.index + 1}",
        "facts": facts,
        "dropped": ranked.dropped and why_dropped(ranked.dropped),
        "skipped": ranked.skipped and why_dropped(ranked.skipped),
        "mass": mass,
        "bar": width(mass, largest),
        "top": [(shown(text), level) for text, level in most_looked_at(chunk, levels)],
        "before": [run for p in chunk.pieces if p.part == "before" for run in runs.of(p)],
        "text": [_piece(piece, before, chunk, runs) for before, piece in _text(chunk)],
        "after": [run for p in chunk.pieces if p.part == "after" for run in runs.of(p)],
    }


def width(value: float, largest: float) -> str:
    """Of a bar, of 100."""
    return f"{100 * value / largest:.1f}" if largest > 0 else "0"


def _text(chunk: ExplainedChunk) -> Iterator[tuple[Piece | None, Piece]]:
    """The pieces of its own text, each with the one before it that something was decided about."""
    before = None
    for piece in chunk.pieces:
        if piece.part == "text":
            yield before, piece
            before = before if piece.kept is None else piece


def _piece(
    piece: Piece, before: Piece | None, chunk: ExplainedChunk, runs: _Runs
) -> dict[str, Any]:
    """What the template shows of one; only the first of several dropped alike says why."""
    same = before is not None and before.kept is False and before.reason == piece.reason
    of_chunk = chunk.ranked.dropped is not None and piece.reason == chunk.ranked.dropped
    numbers = "" if piece.score is None else f"score {piece.score:.4f}, mass {piece.mass:.4f}"
    return {
        "kept": piece.kept,
        "why": why_kept(piece.reason) if piece.kept else why_dropped(piece.reason),
        "said": same or of_chunk,
        "numbers": numbers,
        "by": piece.by,
        "id": span_anchor(chunk.ranked.index, piece.start - chunk.start),
        "runs": list(runs.of(piece)),
    }


def span_anchor(chunk: int, start: int) -> str:
    """The id of a span in its page, by the chunk's index and where in its text the span begins."""
    return f"span-{chunk}-{start}"


class _Runs:
    """Cuts pieces into words, which get an element each, and what is between them."""

    def __init__(self, chunk: ExplainedChunk, levels: Levels) -> None:
        self._read = chunk.read
        self._words = list(zip(chunk.words.tolist(), levels.tolist(), strict=True))
        self._next = 0

    def of(self, piece: Piece) -> Iterator[Run]:
        """The runs of a piece; pieces must come in order."""
        place = piece.start
        while self._next < len(self._words):
            (start, end), level = self._words[self._next]
            if start >= piece.end:
                break
            if place < start:
                yield shown(self._read[place:start]), "", 0
            word = self._read[start:end]
            yield shown(word), "u" if word.isspace() else "i", level
            place = end
            self._next += 1
        if place < piece.end:
            yield shown(self._read[place : piece.end]), "", 0


@cache
def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """What renders the templates of this folder, with all that is put into them escaped."""
    return Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )


def _digest(text: str) -> str:
    """As a content security policy names what is inline."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
