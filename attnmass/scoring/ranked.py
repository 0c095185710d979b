"""What one chunk and its spans got: plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attnmass.text.lines import beginning


@dataclass(frozen=True, slots=True)
class Span:
    """One sentence, heading, code block, table or list item of a chunk.

    Attributes:
        start: First character, into the chunk's own text.
        end: One past its last character.
        kind: What it is, see `attnmass.text.segmentation.Segment`.
        score: What spans are ordered by over all chunks: attention mass relative to its length, and
            its chunk's mass, as the head profile mixes them; in [0, 1].
        mass: Share of the query's attention that it got from the heads that score spans.
        relevance: As `RankedChunk.relevance`, for the span alone.
        kept: Whether it is in the trimmed text.
        reason: Why. Kept: `"score"`, `"must_keep"`, or with another span as its `"title"`,
            `"context"` or `"neighbor"`. Dropped: `"max_tokens"`, `"keep_ratio"`, `"top_p"`,
            `"min_relevance"` or `"duplicate"`; the reason of its chunk where that was dropped;
            `"title"` for a heading over nothing that is kept.
        id: The same for the same place in the same text, whatever the query is.
        duplicate_of: The id of the kept span of another chunk that it repeats, where that is why it
            was dropped.
    """

    start: int
    end: int
    kind: str
    score: float
    mass: float
    kept: bool
    reason: str
    id: str
    relevance: float | None = None
    duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class RankedChunk:
    """One chunk of a `Ranking`.

    Attributes:
        index: Position of the chunk in the input, 0-based.
        score: What chunks are ordered by, in [0, 1]: it never rises down the list. Its `share`;
            where a classification head ranks, the sigmoid of its `logit`; where scores were fused,
            or ranked by `"both"`, the softmax of the logits that were made from both; 0.0 for what
            was skipped or says nothing besides the question.
        n_tokens: Tokens that the model read for this chunk, title included; 0 if skipped.
        n_windows: Overlapping windows that a chunk too long for the model was split into; else 1.
        retrieval_score: The score that the caller passed for it, if any.
        share: What it gets of the query's attention on all chunks, as the head profile shares that
            out (`HeadProfile.ranking`); without such a rule, its `mass`; 0 where that is negative.
            It depends on the other candidates; copies of a text each get what the text gets.
        relevance: Probability that it holds evidence on the query, by its mass beside a fixed
            background: it depends on the query, the chunk and the model, and nothing else. 0.0 if
            skipped; `None` where the profile has no rule for it (`HeadProfile.relevance`).
        skipped: Why the chunk was not scored (it is then last, with score 0.0), else `None`.
        text: Its text, or what trimming kept of it; empty where nothing was kept or there was no
            text.
        spans: All its spans in reading order where trimming was asked for, else none; also none
            where the whole chunk was dropped for `"min_relevance"`, without a look into it.
        dropped: Why it is not in the result, on the chunks of `Ranking.dropped`: `"top_n"`,
            `"min_relevance"`, `"no_evidence"`, or what left none of its spans; where trimming was
            asked for and it was skipped, why it was skipped.
        mass: Attention mass, the share of the query's attention that the chunk got, whatever chunks
            are ranked by; in [0, 1], or in [-1, 1] where the head profile subtracts a null query's;
            0.0 if skipped.
        logit: What the model's classification head said about query and chunk, `None` where it was
            not asked; for a chunk in windows, that of the best one.
        metadata: The chunk's, the very object; equality ignores it.
    """

    index: int
    score: float
    n_tokens: int
    n_windows: int = 1
    retrieval_score: float | None = None
    skipped: str | None = None
    text: str = ""
    spans: tuple[Span, ...] = ()
    dropped: str | None = None
    mass: float = 0.0
    logit: float | None = None
    share: float = 0.0
    relevance: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def kept_spans(self) -> tuple[Span, ...]:
        """The spans that are in `text`."""
        return tuple(span for span in self.spans if span.kept)

    def __repr__(self) -> str:
        """On one line: the beginning of its text, and how many of its spans were kept."""
        told = {
            "index": f"{self.index}",
            "score": f"{self.score:.4f}",
            "relevance": "" if self.relevance is None else f"{self.relevance:.3f}",
            "skipped": self.skipped and repr(self.skipped),
            "dropped": self.dropped and repr(self.dropped),
            "text": self.text and beginning(self.text),
        }
        parts = [f"{name}={value}" for name, value in told.items() if value]
        if self.spans:
            parts.append(f"{len(self.kept_spans)} of {len(self.spans)} spans kept")
        return f"RankedChunk({', '.join(parts)})"
