"""The page: one HTML file with its style and its script in it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from attnmass.explain.sheets import LEVELS, Levels, Sheet, make_sheet, most_looked_at
from attnmass.explain.shown import evidence_words, moved, shown, why_dropped, why_kept

if TYPE_CHECKING:
    from attnmass.explain.model import ExplainedChunk, Explanation, Piece

Run = tuple[str, str, int]  # text, its element or none, its level

_MOST_LEVELS = 6_000_000  # in one page; with more, browsers get slow
_ZEROS = re.compile("0{2,27}")
_FRAME_HEIGHT = 640  # pixels


def page(explanation: Explanation) -> str:
    """An HTML page; nothing in it can act but its own script, by a content security policy."""
    sheets = {key: make_sheet(explanation, *at) for key, at in _keys(explanation).items()}
    first = sheets["0.0"]
    style, script = _resource("page.css"), _resource("page.js")
    return _template("page.html").render(
        query=shown(explanation.query),
        query_words=[shown(explanation.query[a:b]) for a, b in explanation.query_words],
        model=shown(explanation.model),
        views=[view.label for view in explanation.views],
        summary=_summary(explanation),
        notes=explanation.notes,
        evidence=explanation.evidence,
        no_evidence=explanation.no_evidence,
        threshold=explanation.threshold,
        evidence_words=evidence_words(
            explanation.evidence, explanation.no_evidence, explanation.threshold
        ),
        sections=_sections(explanation, first),
        largest=first.largest,
        n_levels=LEVELS,
        data=_data(explanation, sheets),
        style=Markup(style),  # these two are files of the package
        script=Markup(script),
        style_hash=_digest(style),
        script_hash=_digest(script),
    )


def frame(explanation: Explanation) -> str:
    """The page inside a notebook's cell, where its style and script reach nothing else."""
    return _template("frame.html").render(
        query=shown(explanation.query), page=page(explanation), height=_FRAME_HEIGHT
    )


def _keys(explanation: Explanation) -> dict[str, tuple[int, int | None]]:
    """The views that a page has: `view.word`, where word 0 is all of the query's."""
    n_views, n_query = len(explanation.views), len(explanation.query_words)
    n_words = sum(len(chunk.words) for chunk in explanation.chunks)
    # Where heads times query words are too many, single heads are shown for the whole query only.
    fits = n_words * n_views * (n_query + 1) <= _MOST_LEVELS
    split = n_views if fits else n_views - len(explanation.heads)
    found: dict[str, tuple[int, int | None]] = {
        f"{view}.0": (view, None) for view in range(n_views)
    }
    found |= {f"{v}.{w + 1}": (v, w) for v in range(split) for w in range(n_query)}
    return found


def _data(explanation: Explanation, sheets: dict[str, Sheet]) -> dict[str, Any]:
    """What the script needs: for every view levels, bars, and the largest mass."""
    return {
        "sheets": {
            key: {
                "largest": f"{sheet.largest:.4f}",
                "levels": _packed(sheet),
                "masses": [round(mass, 4) for mass in sheet.masses],
            }
            for key, sheet in sheets.items()
        }
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
    largest = max(sheet.masses, default=0.0)
    rows = [
        _row(chunk, number, levels, mass, largest)
        for number, (chunk, levels, mass) in enumerate(
            zip(explanation.chunks, sheet.levels, sheet.masses, strict=True)
        )
    ]
    kept = [row for row in rows if row["place"] is not None]
    gone = [row for row in rows if row["place"] is None]
    found = [{"title": "Kept chunks, in their new order", "rows": kept, "out": False}]
    if gone:
        found.append({"title": "Left out", "rows": gone, "out": True})
    return found


def _row(
    chunk: ExplainedChunk, number: int, levels: Levels, mass: float, largest: float
) -> dict[str, Any]:
    ranked = chunk.ranked
    runs = _Runs(chunk, levels)
    title = [run for piece in chunk.pieces if piece.part == "title" for run in runs.of(piece)]
    if not title and chunk.title:
        title = [(shown(chunk.title), "", 0)]
    facts = [moved(chunk.place, ranked.index)]
    if ranked.retrieval_score is not None:
        facts.append(f"retriever's score {ranked.retrieval_score:.4g}")
    if ranked.fused_score is not None:
        facts.append(f"blended score {ranked.fused_score:.3f}")
    facts.append(f"{ranked.n_tokens} tokens")
    if ranked.n_windows > 1:
        facts.append(f"read in {ranked.n_windows} windows")
    return {
        "number": number,
        "place": chunk.place,
        "title": title,
        "name": f"Chunk {ranked.index + 1}",
        "facts": facts,
        "dropped": ranked.dropped and why_dropped(ranked.dropped),
        "skipped": ranked.skipped and why_dropped(ranked.skipped),
        "mass": mass,
        "bar": _width(mass, largest),
        "top": [(shown(text), level) for text, level in most_looked_at(chunk, levels)],
        "before": [run for p in chunk.pieces if p.part == "before" for run in runs.of(p)],
        "text": [_piece(piece, before, chunk, runs) for before, piece in _text(chunk)],
        "after": [run for p in chunk.pieces if p.part == "after" for run in runs.of(p)],
    }


def _width(mass: float, largest: float) -> str:
    """Of 100."""
    return f"{100 * mass / largest:.1f}" if largest > 0 else "0"


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
        "runs": list(runs.of(piece)),
    }


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
def _template(name: str) -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_resource(name))


def _digest(text: str) -> str:
    """As a content security policy names what is inline."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
