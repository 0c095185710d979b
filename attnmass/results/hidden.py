"""What adapters write into a result's metadata under one key, and read back: plain data."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from attnmass.options.checks import is_finite
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
    """What one call found; the next call finds something else for the same chunk.

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


def describe_retrieval(chunk: RankedChunk) -> dict[str, Any]:
    """What the retriever found, alone: the same in every call that it found the chunk for."""
    return {"retrieval_score": chunk.retrieval_score}


def describe_trim(
    chunk: RankedChunk,
    original: str,
    *,
    offset: int | None,
    separator: str,
    add_scores: bool,
    keep_original: bool,
) -> dict[str, Any]:
    """What is left of a chunk; the same in every call that leaves the same of it, but for scores.

    Args:
        chunk: With the text that was kept.
        original: The text before.
        offset: Where that begins in the document it is part of, if that is known.
        separator: What marks gaps.
        add_scores: Whether spans have the call's scores.
        keep_original: Whether the text before is in there, if it was another.
    """
    from attnmass.trimming.render import kept_places

    kept = chunk.kept_spans
    places = [span.start for span in kept]
    if chunk.text != original:
        places = kept_places(original, [(span.start, span.end) for span in kept], separator)
    found: dict[str, Any] = {
        "digest": text_digest(chunk.text),
        "spans": [
            _describe_span(span, place, offset, add_scores)
            for span, place in zip(kept, places, strict=True)
        ],
        "n_dropped_spans": len(chunk.spans) - len(kept),
    }
    if keep_original and chunk.text != original:
        found |= {"original_text": original, "separator": separator}
        found["seal"] = seal(original, chunk.text)
    return found


def write(metadata: dict[str, Any], details: Mapping[str, Any]) -> None:
    """Put details into metadata as one text, which stores that take no nested values take, too."""
    metadata[KEY] = json.dumps(details, sort_keys=True, separators=(",", ":"))


def seal(*parts: str) -> str:
    """Tells what this process wrote from what others did: it cannot be made without its key.

    The process's forks share the key, and nobody else.
    """
    digest = hmac.new(_SECRET, digestmod=hashlib.sha256)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def _describe_span(span: Span, place: int, offset: int | None, add_scores: bool) -> dict[str, Any]:
    found = {"id": span.id, "start": span.start, "end": span.end, "place": place}
    if offset is not None:
        found |= {"doc_start": offset + span.start, "doc_end": offset + span.end}
    scores = {"score": span.score, "reason": span.reason} if add_scores else {}
    return {**found, "kind": span.kind, **scores}


def read(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an adapter wrote, empty where it wrote nothing, or what is there is not of its form.

    Metadata comes from indexes that others wrote to: that it has this form says nothing of who
    wrote it. See `is_of`, `source_text` and `own_source_text`.
    """
    written = metadata.get(KEY)
    if not isinstance(written, str):
        return {}
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) and _is_sound(found) else {}


def is_of(hidden: Mapping[str, Any], text: str) -> bool:
    """Whether the spans of a trimmed result are in this text, its own, where they say.

    Args:
        hidden: From `read`.
        text: The result's text.

    Returns:
        False if it was not trimmed, or if someone else has changed the text since.
    """
    spans = hidden.get("spans")
    if not spans or hidden["digest"] != text_digest(text):
        return False
    last = spans[-1]
    end = last["place"] + last["end"] - last["start"]
    return end <= len(text) and not (text[: spans[0]["place"]] + text[end:]).strip()


def is_cut(hidden: Mapping[str, Any], text: str) -> bool:
    """Whether a result `is_of` a text that was longer before."""
    return is_of(hidden, text) and not _is_whole(hidden, text)


def _is_whole(hidden: Mapping[str, Any], text: str) -> bool:
    digest = text_digest(text)
    # A span that was cut short has the id of the whole one.
    return all(span["id"].startswith(f"{digest}-{span['start']}-") for span in hidden["spans"])


def check_restorable(hidden: Mapping[str, Any], text: str) -> None:
    """Raise `ValueError` if a text was longer before and nothing is left of the rest."""
    if is_cut(hidden, text) and "original_text" not in hidden:
        raise ValueError(
            "this was trimmed, and its original text was not kept: set keep_original=True where it "
            "is trimmed, or look it up by its id where it was retrieved from"
        )


def source_text(hidden: Mapping[str, Any], text: str) -> str | None:
    """The text that the spans of a trimmed result were in before, whole.

    Args:
        hidden: From `read`.
        text: The result's text.

    Returns:
        `None` if it was not trimmed, if someone else has changed the text since, if the text before
        was not kept, or if the spans are not those of the text that they are said to be in.
    """
    if not is_of(hidden, text):
        return None
    if "original_text" not in hidden:
        return text if _is_whole(hidden, text) else None
    original: str = hidden["original_text"]
    spans = [(span["start"], span["end"]) for span in hidden["spans"]]
    if spans[-1][1] > len(original) or not _is_whole(hidden, original):
        return None
    from attnmass.trimming.render import join_kept

    return original if join_kept(original, spans, hidden["separator"]) == text else None


def own_source_text(hidden: Mapping[str, Any], text: str) -> str | None:
    """`source_text`, if this process trimmed it: what is read instead of a text must be ours."""
    original = source_text(hidden, text)
    if original is None or "original_text" not in hidden:
        return original
    written = hidden["seal"].encode("utf-8", "surrogatepass")  # as texts, only ASCII is compared
    return original if hmac.compare_digest(written, seal(original, text).encode()) else None


def _is_sound(found: Mapping[str, Any]) -> bool:
    """Whether that has the form of what is described here, in all that is read back of it."""
    if "score" in found and not _is_number(found["score"]):
        return False
    before = found.get("retrieval_score")
    if before is not None and not _is_number(before):
        return False
    names = ("digest", "original_text", "separator", "seal")
    if not all(isinstance(found.get(name, ""), str) for name in names):
        return False
    if "spans" in found and "digest" not in found:
        return False
    if "original_text" in found and not {"spans", "separator", "seal"}.issubset(found):
        return False
    spans = found.get("spans", [])
    return isinstance(spans, list) and _are_in_order(spans)


def _are_in_order(spans: Sequence[Any]) -> bool:
    """Whether these are descriptions of spans, one after the other, in both texts."""
    last = last_place = 0
    for span in spans:
        if not isinstance(span, Mapping) or not isinstance(span.get("id"), str):
            return False
        start, end, place = span.get("start"), span.get("end"), span.get("place")
        if not (_is_count(start) and _is_count(end) and last <= start < end):
            return False
        if not (_is_count(place) and last_place <= place):
            return False
        if not _is_count(span.get("doc_start", start)) or span.get("doc_start", start) < start:
            return False
        last, last_place = end, place + end - start
    return True


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and is_finite(value)


def one_slice(spans: Sequence[Span], original: str, text: str) -> tuple[int, int] | None:
    """`[start, end)` of the original if that is the text that was kept, else `None`."""
    start, end = spans[0].start, spans[-1].end
    return (start, end) if original[start:end] == text else None
