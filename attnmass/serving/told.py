"""Results as our own routes tell them, in JSON and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from attnmass.results.attribution import Attribution
from attnmass.results.citations import cite, ranked_passages
from attnmass.results.ranking import Ranking
from attnmass.results.saving import Saving
from attnmass.results.stats import WarmResult
from attnmass.scoring.ranked import RankedChunk, Span
from attnmass.text.chunk import Chunk
from attnmass.text.prompt import chunk_text

Ids = Sequence[str | int | None]


def told_trim(
    ranking: Ranking,
    *,
    chunks: Sequence[Chunk],
    ids: Ids,
    separator: str,
    dropped: bool,
    citations: bool,
    marker: str | None,
) -> dict[str, Any]:
    """A trimmed ranking.

    Args:
        ranking: The ranking.
        chunks: What was ranked.
        ids: What the caller knows the chunks by.
        separator: What stands where text was dropped.
        dropped: Whether what was dropped is told, too.
        citations: Whether the text is also given with numbers.
        marker: What a number looks like.

    Raises:
        ValueError: If the texts have something that reads like the marker.
    """
    told: dict[str, Any] = {
        "evidence": ranking.evidence,
        "no_evidence": ranking.no_evidence,
        "n_tokens_before": ranking.n_tokens_before,
        "n_tokens_after": ranking.n_tokens_after,
        "text": "\n\n".join(
            chunk_text(replace(chunks[each.index], text=each.text)) for each in ranking.chunks
        ),
        "results": [_chunk(each, ids, dropped=dropped) for each in ranking.chunks],
        "notes": list(ranking.notes),
    }
    if dropped:
        told["dropped"] = _dropped(ranking.dropped, ids)
    if ranking.saving is not None:
        told["saving"] = _saving(ranking.saving, ids, dropped=dropped)
    if citations:
        cited = cite(ranked_passages(ranking, chunks, separator=separator), marker=marker)
        told["citations"] = {
            "text": cited.text,
            "marker": cited.marker,
            "sources": [
                {
                    "number": source.number,
                    "id": source.id,
                    "text": source.text,
                    "index": ranking.chunks[source.chunk].index,
                    "document_id": ids[ranking.chunks[source.chunk].index],
                    "start": source.start,
                    "end": source.end,
                    **({"metadata": source.metadata} if source.metadata else {}),
                }
                for source in cited.sources
            ],
        }
    return told


def _dropped(chunks: Sequence[RankedChunk], ids: Ids) -> list[dict[str, Any]]:
    return [{**_chunk(each, ids, dropped=True), "reason": each.dropped} for each in chunks]


def _saving(saving: Saving, ids: Ids, *, dropped: bool) -> dict[str, Any]:
    """What a dry run found."""
    told: dict[str, Any] = {
        "n_tokens_before": saving.n_tokens_before,
        "n_tokens_after": saving.n_tokens_after,
        "n_tokens_saved": saving.n_tokens_saved,
        "lost_documents": saving.lost_chunks,
        "lost_spans": saving.lost_spans,
        "error": saving.error,
        "results": [_chunk(each, ids, dropped=dropped) for each in saving.chunks],
    }
    return {**told, "dropped": _dropped(saving.dropped, ids)} if dropped else told


def _chunk(chunk: RankedChunk, ids: Ids, *, dropped: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "index": chunk.index,
        "id": ids[chunk.index],
        "score": chunk.score,
        "mass": chunk.mass,
        "n_tokens": chunk.n_tokens,
        "spans": [_span(span) for span in chunk.spans if span.kept or dropped],
    }
    if chunk.relevance is not None:
        told["relevance"] = chunk.relevance
    for name in ("retrieval_score", "share", "skipped"):
        if getattr(chunk, name) is not None:
            told[name] = getattr(chunk, name)
    if chunk.metadata:
        told["metadata"] = chunk.metadata
    if chunk.dropped is None:
        told["text"] = chunk.text
    return told


def _span(span: Span) -> dict[str, Any]:
    return asdict(span)


def told_attribution(attribution: Attribution, ids: Ids) -> dict[str, Any]:
    """What an answer rests on."""
    return {
        "sentences": [
            {
                "start": each.start,
                "end": each.end,
                "text": each.text,
                "support": each.support,
                "supported": each.supported,
                "scores": list(each.scores),
                "spans": [
                    {
                        "index": span.chunk,
                        "document_id": ids[span.chunk],
                        "start": span.start,
                        "end": span.end,
                        "text": span.text,
                        "kind": span.kind,
                        "score": span.score,
                        "mass": span.mass,
                        "id": span.id,
                    }
                    for span in each.spans
                ],
            }
            for each in attribution.sentences
        ],
        "scores": list(attribution.scores),
        "threshold": attribution.threshold,
        "notes": list(attribution.notes),
    }


def told_warm(done: WarmResult) -> dict[str, Any]:
    """What was read."""
    return asdict(done)


def told_explanation(ranking: Ranking, *, html: bool) -> str:
    """A ranking drawn: a page, or its numbers as JSON."""
    explanation = ranking.explain()
    return explanation.to_html() if html else explanation.to_json()
