"""What adapters write into a result's metadata under one key, and read back: plain data."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from attnmass.results.ranking import Ranking
from attnmass.scoring.ranked import RankedChunk, Span
from attnmass.text.chunk import text_digest

if TYPE_CHECKING:
    from typing import TypeGuard

# The one metadata key, hidden from what models are shown where the framework can hide it.
KEY = "attnmass"

# What this process signs with; never written anywhere.
_SECRET = secrets.token_bytes(32)


def describe(ranking: Ranking, chunk: RankedChunk, *, place: int, model: str) -> dict[str, Any]:
    """What is said of every result.

    Args:
        ranking: What the chunk is in.
        chunk: One of its chunks.
        place: Position of the candidate in the input, 0-based.
        model: The model's name.
    """
    optional = {
        "relevance": chunk.relevance,
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
        found["seal"] = seal(original, chunk.text)
    return found


def seal(*parts: str) -> str:
    """Tells what this process wrote from what others did: it cannot be made without its key.

    The process's forks share the key, and nobody else.
    """
    digest = hmac.new(_SECRET, digestmod=hashlib.sha256)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def _describe_span(span: Span, offset: int | None) -> dict[str, Any]:
    place = {"id": span.id, "start": span.start, "end": span.end}
    if offset is not None:
        place |= {"doc_start": offset + span.start, "doc_end": offset + span.end}
    return {**place, "score": span.score, "kind": span.kind, "reason": span.reason}


def read(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an adapter wrote, empty where it wrote nothing, or what is there is not of its form.

    Metadata comes from indexes that others wrote to: that it has this form says nothing of who
    wrote it. See `source_text` and `own_source_text`.
    """
    found = metadata.get(KEY)
    return found if isinstance(found, Mapping) and _is_sound(found) else {}


def source_text(hidden: Mapping[str, Any], text: str) -> str | None:
    """The text that the spans of a trimmed result are in, whole.

    Args:
        hidden: From `read`.
        text: The result's text.

    Returns:
        `None` if it was not trimmed, if someone else has changed the text since, or if the spans
        are not those of the text that they are said to be in.
    """
    spans = hidden.get("spans")
    if not spans:
        return None
    original = str(hidden.get("original_text", text))
    if spans[-1]["end"] > len(original):
        return None
    digest = text_digest(original)
    # A span that was cut short has the id of the whole one.
    if not all(span["id"].startswith(f"{digest}-{span['start']}-") for span in spans):
        return None
    if "original_text" not in hidden:
        return original
    from attnmass.trimming.render import join_kept

    kept = join_kept(original, [(s["start"], s["end"]) for s in spans], hidden["separator"])
    return original if kept == text else None


def own_source_text(hidden: Mapping[str, Any], text: str) -> str | None:
    """`source_text`, if this process trimmed it: what is read instead of a text must be ours."""
    original = source_text(hidden, text)
    if original is None or "original_text" not in hidden:
        return original
    return original if hmac.compare_digest(hidden["seal"], seal(original, text)) else None


def _is_sound(found: Mapping[str, Any]) -> bool:
    """Whether that has the form of what is described here, in all that is read back of it."""
    if not _is_count(found.get("rank_before")) or not _is_number(found.get("score")):
        return False
    before = found.get("retrieval_score")
    if before is not None and not _is_number(before):
        return False
    names = ("original_text", "separator", "seal", "request")
    if not all(isinstance(found.get(name, ""), str) for name in names):
        return False
    if "original_text" in found and not {"spans", "separator", "seal"}.issubset(found):
        return False
    spans = found.get("spans", ())
    return isinstance(spans, Sequence) and not isinstance(spans, str) and _are_in_order(spans)


def _are_in_order(spans: Sequence[Any]) -> bool:
    """Whether these are descriptions of spans, one after the other."""
    last = 0
    for span in spans:
        if not isinstance(span, Mapping) or not isinstance(span.get("id"), str):
            return False
        start, end = span.get("start"), span.get("end")
        if not (_is_count(start) and _is_count(end) and last <= start < end):
            return False
        if not _is_count(span.get("doc_start", start)) or span.get("doc_start", start) < start:
            return False
        last = end
    return True


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def one_slice(spans: Sequence[Span], original: str, text: str) -> tuple[int, int] | None:
    """`[start, end)` of the original if that is the text that was kept, else `None`."""
    start, end = spans[0].start, spans[-1].end
    return (start, end) if original[start:end] == text else None
