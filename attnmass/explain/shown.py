"""Text and reasons as they are shown to people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnmass.results.support import AnswerSentence, Support
    from attnmass.scoring.ranked import RankedChunk

_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")

_REASONS = {
    "max_tokens": "no room in max_tokens",
    "keep_ratio": "no room in keep_ratio",
    "top_p": "not needed for top_p",
    "min_relevance": "not relevant",
    "duplicate": "said in another chunk",
    "top_n": "not among the top_n",
    "no_evidence": "no evidence",
    "title": "heading over nothing that is kept",
    "blank": "nothing to read",
    "not text": "not text",
    "no tokens": "no tokens for this model",
}
_KEPT = {
    "score": "by its score",
    "must_keep": "as must_keep says",
    "title": "as a title",
    "context": "as context",
    "neighbor": "as a neighbor",
}


def shown(text: str, *, overrides: bool = True) -> str:
    """A text with a sign for each character that cannot be shown, or would steer a terminal.

    Args:
        text: Any `str`.
        overrides: Whether to let through characters that turn the direction of writing.
    """
    text = _UNSHOWN.sub(_sign, text.replace("\r\n", "\n"))
    return text if overrides else _OVERRIDES.sub("\ufffd", text)


def score_facts(ranked: RankedChunk) -> list[str]:
    """What a chunk is ordered by, and next to it any number that differs from it."""
    facts = [f"score {ranked.score:.4f}"]
    if ranked.share != ranked.score:
        facts.append(f"share {ranked.share:.4f}")
    if ranked.relevance is not None:
        facts.append(f"relevance {ranked.relevance:.3f}")
    return facts


def why_dropped(reason: str | None) -> str:
    """Why something is left out, in a few words."""
    return _REASONS.get(reason or "", reason or "left out")


def why_kept(reason: str | None) -> str:
    """Why a span is kept, in a few words."""
    return _KEPT.get(reason or "", reason or "")


def evidence_words(evidence: float, no_evidence: bool, threshold: float | None) -> str:
    """What the evidence says, as a sentence."""
    if threshold is None:
        return f"Evidence {evidence:.3f}; no threshold was set."
    if no_evidence:
        return (
            f"Evidence {evidence:.3f}, below the threshold of {threshold:.3f}: "
            "no evidence, the answer is likely not in these chunks."
        )
    return f"Evidence {evidence:.3f}, not below the threshold of {threshold:.3f}."


def answer_verdict(sentences: Sequence[AnswerSentence], threshold: float | None) -> str:
    """What is known of the support of an answer's sentences, as a sentence."""
    if threshold is None:
        return "No threshold of support was set."
    lacking = [str(n) for n, each in enumerate(sentences, start=1) if each.supported is False]
    if not lacking:
        return f"No sentence has less support than the threshold of {threshold:.3f}."
    which = f"Sentence {lacking[0]} has" if len(lacking) == 1 else f"Sentences {_and(lacking)} have"
    return f"{which} less support than the threshold of {threshold:.3f}: unsupported."


def full_support(threshold: float | None) -> float:
    """The support at which a bar is full, whatever other sentences have: all there is.

    Where there is a threshold, twice the threshold, so that it stands in the middle of every bar.
    """
    return min(1.0, 2 * threshold) if threshold else 1.0


def full_words(threshold: float | None) -> str:
    """What a bar of support shows, in a sentence or two."""
    if not threshold:
        return "A bar is full where all attention goes to one chunk."
    if 2 * threshold >= 1.0:
        return "A bar is full where all attention goes to one chunk; the line is the threshold."
    return "The line across a bar is the threshold; a bar is full at twice that."


def span_place(span: Support, title: str | None) -> str:
    """Where a span is: its chunk, by title if it has one, and its characters."""
    name = " ".join((title or "").split()) or f"Chunk {span.chunk + 1}"
    return f"{name}, characters {span.start} to {span.end}"


def moved(place: int | None, index: int) -> str:
    """Where a chunk was before, and which way it went; `place` is 1-based, `index` 0-based."""
    before = index + 1
    if place is None:
        return f"was {before}"
    if place == before:
        return f"was {before}, unmoved"
    way = "up" if place < before else "down"
    return f"was {before}, {way} {abs(place - before)}"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]])


def _sign(found: re.Match[str]) -> str:
    """Unicode has pictures for the old control characters, and none for the rest."""
    point = ord(found[0])
    if point < 0x20:
        return chr(0x2400 + point)
    return "\u2421" if point == 0x7F else "\ufffd"
