"""A ranking as a table, for a notebook's cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attnmass.explain.html import environment
from attnmass.explain.shown import evidence_words, shown, why_dropped
from attnmass.explain.telling import by_reason
from attnmass.text.lines import counted

if TYPE_CHECKING:
    from attnmass.results.ranking import Ranking
    from attnmass.scoring.ranked import RankedChunk

_ROWS = 20
_NOTES = 5
_TEXT = 240  # characters


def table(ranking: Ranking) -> str:
    """The best chunks with their numbers; those that were dropped are folded away."""
    kept, dropped = ranking.chunks, ranking.dropped
    every = (*kept, *dropped)
    summary = f"{counted(len(every), 'chunk')}, {len(kept):,} kept. "
    summary += evidence_words(
        ranking.evidence,
        ranking.no_evidence,
        None if ranking.trace is None else ranking.trace.threshold,
    )
    if ranking.n_tokens_before is not None:
        summary += f" Tokens {ranking.n_tokens_before:,} → {ranking.n_tokens_after or 0:,}."
    return (
        environment()
        .get_template("table.html")
        .render(
            query=shown(ranking.query),
            summary=summary,
            scored=any(chunk.retrieval_score is not None for chunk in every),
            trimmed=any(chunk.spans for chunk in every),
            kept=[_row(ranking, chunk, place) for place, chunk in enumerate(kept[:_ROWS], 1)],
            more=max(0, len(kept) - _ROWS),
            dropped=[_row(ranking, chunk, None) for chunk in dropped[:_ROWS]],
            more_dropped=max(0, len(dropped) - _ROWS),
            reasons=f"{counted(len(dropped), 'chunk')} dropped: {by_reason(dropped)}",
            notes=_some(ranking.notes),
        )
    )


def _row(ranking: Ranking, chunk: RankedChunk, place: int | None) -> dict[str, Any]:
    source = None if ranking.trace is None else ranking.trace.chunks[chunk.index]
    text = chunk.text if source is None or chunk.dropped is None else source.text
    score = chunk.retrieval_score
    return {
        "place": "" if place is None else place,
        "index": chunk.index,
        "score": f"{chunk.score:.4f}",
        "share": f"{chunk.share:.4f}",
        "relevance": "" if chunk.relevance is None else f"{chunk.relevance:.3f}",
        "retrieval": "" if score is None else f"{score:.4g}",
        "title": shown((source.title or "") if source is not None else "").strip(),
        "text": shown(text if len(text) <= _TEXT else text[: _TEXT - 1].rstrip() + "…"),
        "spans": f"{len(chunk.kept_spans)} of {len(chunk.spans)}" if chunk.spans else "",
        "why": why_dropped(chunk.dropped or chunk.skipped)
        if chunk.dropped or chunk.skipped
        else "",
    }


def _some(notes: Sequence[str]) -> list[str]:
    more = len(notes) - _NOTES
    return [*notes[:_NOTES], *([f"and {more} more in .notes"] if more > 0 else [])]
