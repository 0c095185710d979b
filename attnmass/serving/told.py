"""Results as our own routes give them, in JSON and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from attnmass.explain.telling import picked
from attnmass.results.attribution import Attribution
from attnmass.results.citations import cite, ranked_passages
from attnmass.results.ranking import Ranking
from attnmass.results.saving import Saving
from attnmass.scoring.ranked import RankedChunk
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
        dropped: Whether what was dropped is also listed.
        citations: Whether the text is also given with citation numbers.
        marker: What a number looks like.

    Raises:
        ValueError: If the texts contain something that looks like the marker.
    """
    told: dict[str, Any] = {
        **picked(ranking, "evidence", "no_evidence", "n_tokens_before", "n_tokens_after"),
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
                    **picked(source, "number", "id", "text", "start", "end"),
                    "index": ranking.chunks[source.chunk].index,
                    "document_id": ids[ranking.chunks[source.chunk].index],
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
        **picked(saving, "n_tokens_before", "n_tokens_after", "n_tokens_saved"),
        **picked(saving, "lost_spans", "error"),
        "lost_documents": saving.lost_chunks,
        "results": [_chunk(each, ids, dropped=dropped) for each in saving.chunks],
    }
    return {**told, "dropped": _dropped(saving.dropped, ids)} if dropped else told


def _chunk(chunk: RankedChunk, ids: Ids, *, dropped: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        **picked(chunk, "index", "score", "mass", "n_tokens"),
        "id": ids[chunk.index],
        "spans": [asdict(span) for span in chunk.spans if span.kept or dropped],
    }
    rest = picked(chunk, "relevance", "retrieval_score", "share", "skipped")
    told |= {name: value for name, value in rest.items() if value is not None}
    if chunk.metadata:
        told["metadata"] = chunk.metadata
    if chunk.dropped is None:
        told["text"] = chunk.text
    return told


def told_attribution(attribution: Attribution, ids: Ids) -> dict[str, Any]:
    """What an answer rests on."""
    return {
        "sentences": [
            {
                **picked(each, "start", "end", "text", "support", "supported", "scores"),
                "spans": [
                    {
                        "index": span.chunk,
                        "document_id": ids[span.chunk],
                        **picked(span, "start", "end", "text", "kind", "score", "mass", "id"),
                    }
                    for span in each.spans
                ],
            }
            for each in attribution.sentences
        ],
        **picked(attribution, "scores", "threshold", "notes"),
    }


def told_explanation(ranking: Ranking, *, html: bool) -> str:
    """A ranking drawn: a page, or its numbers as JSON."""
    explanation = ranking.explain()
    return explanation.to_html() if html else explanation.to_json()
