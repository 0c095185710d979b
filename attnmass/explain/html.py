"""The page: one HTML file with its style and its script inside."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from attnmass.explain.menu import Choices, choices, page_data
from attnmass.explain.numbers import chunk_numbers, meanings
from attnmass.explain.sheets import LEVELS, Levels, most_looked_at
from attnmass.explain.shown import evidence_words, moved, shown, why_dropped, why_kept
from attnmass.text.lines import counted

if TYPE_CHECKING:
    from attnmass.results.drawn import Drawn, ExplainedChunk, Piece
    from attnmass.results.explanation import Explanation

Run = tuple[str, str, int]  # text, its element or none, its level

_FRAME_HEIGHT = 640  # pixels


def page(explanation: Explanation) -> str:
    """An HTML page; a content security policy lets nothing in it act but its own script."""
    words = [shown(explanation.query[a:b]) for a, b in explanation.query_words]
    found = choices(explanation, len(words))
    rows = chunk_rows(explanation, found, _facts)
    kept = [row for row in rows if row["place"] is not None]
    gone = [row for row in rows if row["place"] is None]
    return render(
        "page.html",
        explanation,
        found,
        words=["the whole query", *(f"the query\u2019s word “{word}”" for word in words)],
        chunks=chunk_numbers(explanation),
        query_words=words,
        summary=_summary(explanation),
        evidence=explanation.evidence,
        no_evidence=explanation.no_evidence,
        threshold=explanation.threshold,
        evidence_words=evidence_words(
            explanation.evidence, explanation.no_evidence, explanation.threshold
        ),
        meanings=meanings(explanation),
        kept=kept,
        gone=gone,
        reasons=_reasons(explanation),
    )


def cell(drawn: Drawn) -> str:
    """A page inside a notebook's cell, where its style and script reach nothing else."""
    template = environment().get_template("frame.html")
    return template.render(query=shown(drawn.query), page=drawn.to_html(), height=_FRAME_HEIGHT)


def render(
    template: str,
    drawn: Drawn,
    found: Choices,
    *,
    words: list[str],
    chunks: Sequence[Mapping[str, Any]] = (),
    **about: Any,
) -> str:
    """A page, with what all pages have.

    Args:
        template: Which one.
        drawn: What is drawn.
        found: What can be chosen.
        words: From where attention can be looked at, in words: all together, then each.
        chunks: What is copied as JSON for each chunk; nothing where it is not copied.
        **about: What only this template has.
    """
    style, script = _resource("page.css"), _resource("page.js")
    return (
        environment()
        .get_template(template)
        .render(
            query=shown(drawn.query),
            model=shown(drawn.model),
            groups=found.groups,
            n_left_out=found.n_left_out,
            notes=drawn.notes,
            choices=words,
            largest=found.sheets["0.0"].largest,
            n_levels=LEVELS,
            data=page_data(found, words, chunks),
            style=Markup(style),  # these two are files of the package
            script=Markup(script),
            style_hash=_digest(style),
            script_hash=_digest(script),
            **about,
        )
    )


def _summary(explanation: Explanation) -> str:
    n_kept = sum(chunk.place is not None for chunk in explanation.chunks)
    text = f"{counted(len(explanation.chunks), 'chunk')}, {n_kept:,} kept"
    if explanation.n_tokens_before is not None:
        text += f"; {explanation.n_tokens_before:,} tokens before trimming, "
        text += f"{explanation.n_tokens_after:,} after"
    return text


def _reasons(explanation: Explanation) -> str:
    """How many chunks are left out for each reason, most first."""
    gone = [chunk.ranked.dropped for chunk in explanation.chunks if chunk.place is None]
    found = Counter(why_dropped(reason) for reason in gone).most_common()
    return ", ".join(f"{count:,} {why}" for why, count in found)


def _facts(chunk: ExplainedChunk) -> list[str]:
    ranked = chunk.ranked
    facts = [moved(chunk.place, ranked.index)]
    if ranked.retrieval_score is not None:
        facts.append(f"retriever's score {ranked.retrieval_score:.4g}")
    if ranked.logit is not None:
        facts.append(f"logit {ranked.logit:.3f}")
    facts.append(counted(ranked.n_tokens, "token"))
    if ranked.n_windows > 1:
        facts.append(f"read in {ranked.n_windows} windows")
    if chunk.id is not None:
        facts.append(f"id {shown(chunk.id)}")
    if chunk.offset is not None:
        end = chunk.offset + sum(p.end - p.start for p in chunk.pieces if p.part == "text")
        facts.append(f"characters {chunk.offset:,} to {end:,} of its document")
    return facts


def chunk_rows(
    drawn: Drawn, found: Choices, facts: Callable[[ExplainedChunk], list[str]]
) -> list[dict[str, Any]]:
    """What the template shows of each chunk.

    Args:
        drawn: What is drawn.
        found: What can be chosen, of which the first is what is shown first.
        facts: Gives what is said next to a chunk's numbers.
    """
    sheet = found.sheets["0.0"]
    best = max((chunk.ranked.score for chunk in drawn.chunks), default=0.0)
    each = zip(drawn.chunks, sheet.levels, sheet.masses, found.drawn, strict=True)
    return [
        _row(chunk, number, levels, shaded)
        | {
            "mass": mass,
            "mass_bar": width(mass, max(sheet.masses)),
            "score_bar": width(chunk.ranked.score, best),
            "facts": facts(chunk),
        }
        for number, (chunk, levels, mass, shaded) in enumerate(each)
    ]


def _row(
    chunk: ExplainedChunk, number: int, levels: Levels, shaded: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    ranked = chunk.ranked
    runs = _Runs(chunk, levels, shaded)
    title = [run for piece in chunk.pieces if piece.part == "title" for run in runs.of(piece)]
    if not title and chunk.title:
        title = [(shown(chunk.title), "", 0)]
    name = f"Chunk {ranked.index + 1}"
    return {
        "number": number,
        "place": chunk.place,
        "title": title,
        "name": name,
        "plain": shown(" ".join((chunk.title or "").split()) or name),
        "score": ranked.score,
        "share": ranked.share,
        "relevance": ranked.relevance,
        "dropped": ranked.dropped and why_dropped(ranked.dropped),
        "skipped": ranked.skipped and why_dropped(ranked.skipped),
        "top": [(shown(text), level) for text, level in most_looked_at(chunk, levels)],
        "before": [run for p in chunk.pieces if p.part == "before" for run in runs.of(p)],
        "text": _parts(chunk, runs),
        "after": [run for p in chunk.pieces if p.part == "after" for run in runs.of(p)],
    }


def width(value: float, largest: float) -> str:
    """The width of a bar, out of 100."""
    return f"{100 * value / largest:.1f}" if largest > 0 else "0"


def _parts(chunk: ExplainedChunk, runs: _Runs) -> list[dict[str, Any]]:
    """The pieces of its own text; those dropped in a row for one reason are one part."""
    parts: list[dict[str, Any]] = []
    for piece in (piece for piece in chunk.pieces if piece.part == "text"):
        last = parts[-1] if parts else None
        shown_piece = _piece(piece, chunk, runs)
        if last is not None and last["kept"] is False and _goes_with(piece, last, chunk.read):
            if piece.kept is None:
                last["pieces"][-1]["runs"] += shown_piece["runs"]
            else:
                last["pieces"].append(shown_piece)
            continue
        of_chunk = chunk.ranked.dropped is not None and piece.reason == chunk.ranked.dropped
        why = why_kept(piece.reason) if piece.kept else why_dropped(piece.reason)
        parts.append(
            {
                "kept": piece.kept,
                "reason": piece.reason,
                "why": why,
                "said": of_chunk,
                "pieces": [shown_piece],
            }
        )
    return parts


def _goes_with(piece: Piece, last: dict[str, Any], read: str) -> bool:
    """Whether a piece belongs to what was left out before it: the same reason, or in between."""
    if piece.kept is None:
        return read[piece.start : piece.end].isspace()
    return piece.kept is False and piece.reason == last["reason"]


def _piece(piece: Piece, chunk: ExplainedChunk, runs: _Runs) -> dict[str, Any]:
    return {
        "kept": piece.kept,
        "by": piece.by,
        "id": span_anchor(chunk.ranked.index, piece.start - chunk.start),
        "runs": list(runs.of(piece)),
    }


def span_anchor(chunk: int, start: int) -> str:
    """The id of a span in its page, by the chunk's index and where in its text the span begins."""
    return f"span-{chunk}-{start}"


class _Runs:
    """Cuts pieces into words, which get an element each, and what lies between them."""

    def __init__(
        self, chunk: ExplainedChunk, levels: Levels, shaded: npt.NDArray[np.bool_]
    ) -> None:
        self._read = chunk.read
        words = zip(chunk.words.tolist(), levels.tolist(), shaded.tolist(), strict=True)
        # What is never shaded needs no element.
        self._words = [(place, level) for place, level, drawn in words if drawn]
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
    """The digest by which a content security policy names what is inline."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
