"""What adapters write into a result's metadata under one key, and read back: plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attnmass.results.ranking import Ranking
from attnmass.scoring.ranked import RankedChunk, Span
from attnmass.text.chunk import text_digest

# The one metadata key, hidden from what models are shown where the framework can hide it.
KEY = "attnmass"


def describe(ranking: Ranking, chunk: RankedChunk, *, place: int, model: str) -> dict[str, Any]:
    """What is said of every result.

    Args:
        ranking: What the chunk is in.
        chunk: One of its chunks.
        place: Position of the candidate in the input, 0-based.
        model: The model's name.
    """
    optional = {
        "fused_score": chunk.fused_score,
        "n_windows": chunk.n_windows if chunk.n_windows > 1 else None,
        "skipped": chunk.skipped,
        "mass": None if chunk.mass == chunk.score else chunk.mass,
        "logit": chunk.logit,
    }
    return {
        "score": chunk.score,
        "retrieval_score": chunk.retrieval_score,
        "rank_before": place,
        "n_tokens": chunk.n_tokens,
        "model": model,
        "evidence": ranking.evidence,
        "no_evidence": ranking.no_evidence,
        **{name: value for name, value in optional.items() if value is not None},
    }


def describe_trim(
    chunk: RankedChunk, original: str, *, offset: int | None, separator: str
) -> dict[str, Any]:
    """What is said of a result that was trimmed as well.

    Args:
        chunk: With the text that was kept.
        original: The text before.
        offset: Where that begins in the document it is part of, if that is known.
        separator: What marks gaps.
    """
    kept = chunk.kept_spans
    found = {
        "spans": [_describe_span(span, offset) for span in kept],
        "n_dropped_spans": len(chunk.spans) - len(kept),
    }
    if chunk.text != original:
        found |= {"original_text": original, "separator": separator}
    return found


def _describe_span(span: Span, offset: int | None) -> dict[str, Any]:
    place = {"id": span.id, "start": span.start, "end": span.end}
    if offset is not None:
        place |= {"doc_start": offset + span.start, "doc_end": offset + span.end}
    return {**place, "score": span.score, "kind": span.kind, "reason": span.reason}


def read(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an adapter wrote, empty where it wrote nothing."""
    found = metadata.get(KEY)
    ours = isinstance(found, Mapping) and "rank_before" in found
    return found if ours else {}  # type: ignore[return-value]


def source_text(hidden: Mapping[str, Any], text: str) -> str | None:
    """The text that the spans of a trimmed result are in, whole.

    Args:
        hidden: From `read`.
        text: The result's text.

    Returns:
        `None` if it was not trimmed, or if someone else has changed the text since.
    """
    spans = hidden.get("spans")
    if not spans:
        return None
    original = hidden.get("original_text")
    if original is None:
        return text if spans[0]["id"].startswith(text_digest(text)) else None
    from attnmass.trimming.render import join_kept

    kept = join_kept(original, [(s["start"], s["end"]) for s in spans], hidden["separator"])
    return str(original) if kept == text else None


def one_slice(spans: Sequence[Span], original: str, text: str) -> tuple[int, int] | None:
    """`[start, end)` of the original if that is the text that was kept, else `None`."""
    start, end = spans[0].start, spans[-1].end
    return (start, end) if original[start:end] == text else None
