"""What goes into a ranker and what comes out: plain frozen data, no tensors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attnmass.checks import check_type

if TYPE_CHECKING:
    from attnmass.explain import Explanation
    from attnmass.profiles import HeadProfile
    from attnmass.trace import Trace


@dataclass(frozen=True, slots=True)
class Chunk:
    """One retrieved text.

    Attributes:
        text: The text that is scored, and trimmed on request.
        title: A line put before the text for the model to read; its tokens count as the chunk's.
        before: What the model reads between title and text, as it is: counted, never trimmed.
        after: What it reads after the text, likewise.

    Raises:
        TypeError: If title, `before` or `after` is no string. A `text` that is none is taken, and
            not scored.
    """

    text: str
    title: str | None = None
    before: str = ""
    after: str = ""

    def __post_init__(self) -> None:
        check_type("title", self.title, str, optional="no title")
        check_type("before", self.before, str)
        check_type("after", self.after, str)


@dataclass(frozen=True, slots=True)
class Span:
    """One sentence, heading, code block, table or list item of a chunk.

    Attributes:
        start: First character, into the chunk's own text.
        end: One past its last character.
        kind: What it is, see `attnmass.segmentation.Segment`.
        score: What spans are ordered by over all chunks: attention mass for its length, and its
            chunk's mass, as the head profile mixes them; in [0, 1].
        mass: Share of the query's attention that it got, by the heads that score spans.
        kept: Whether it is in the trimmed text.
        reason: Why. Kept: `"score"`, or with another span as its `"title"`, `"context"` or
            `"neighbor"`. Dropped: `"max_tokens"`, `"keep_ratio"` or `"top_p"`; the reason of its
            chunk where that was dropped; `"title"` for a heading over nothing that is kept.
        id: The same for the same place in the same text, whatever the query.
    """

    start: int
    end: int
    kind: str
    score: float
    mass: float
    kept: bool
    reason: str
    id: str


@dataclass(frozen=True, slots=True)
class RankedChunk:
    """One chunk of a `Ranking`.

    Attributes:
        index: Position of the chunk in the input, 0-based.
        score: What chunks are ordered and cut by, in [0, 1]: the part of the query's attention on
            all chunks that the head profile shares out to it (`HeadProfile.ranking`); without such
            a rule its `mass`, or 0 where that is below; where a classification head ranks, the
            sigmoid of its logit.
        n_tokens: Tokens that the model read for this chunk, title included; 0 if skipped.
        n_windows: Overlapping windows that a chunk too long for the model was split into; else 1.
        retrieval_score: The score that the caller passed for it, if any.
        fused_score: What the order is by when scores were fused, or ranked by `"both"`, else
            `None`.
        skipped: Why the chunk was not scored (it is then last, with score 0.0), else `None`.
        text: Its text, or what trimming kept of it; empty where that is nothing or there was none.
        spans: All its spans in reading order where trimming was asked for, else none.
        dropped: Why it is not in the result, on the chunks of `Ranking.dropped`: `"top_n"`,
            `"score_threshold"`, `"no_evidence"`, or what left none of its spans; where trimming was
            asked for and it was skipped, why that was.
        mass: Attention mass, the share of the query's attention that the chunk got, whatever chunks
            are ranked by; in [0, 1], or in [-1, 1] where the head profile has a null query's
            subtracted; 0.0 if skipped.
        logit: What the model's classification head said of query and chunk, `None` where it was not
            asked; of a chunk in windows that of the best one.
    """

    index: int
    score: float
    n_tokens: int
    n_windows: int = 1
    retrieval_score: float | None = None
    fused_score: float | None = None
    skipped: str | None = None
    text: str = ""
    spans: tuple[Span, ...] = ()
    dropped: str | None = None
    mass: float = 0.0
    logit: float | None = None

    @property
    def kept_spans(self) -> tuple[Span, ...]:
        """The spans that are in `text`."""
        return tuple(span for span in self.spans if span.kept)


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of wall-clock time spent on one call, by stage.

    Attributes:
        tokenize: Turning query and chunks into tokens.
        encode: Reading the chunks.
        query: The query's pass over what was read.
        total: The whole call, waiting for another thread's call to end included.
        trim: Finding, scoring and choosing spans.
    """

    tokenize: float
    encode: float
    query: float
    total: float
    trim: float = 0.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """Chunks in order of the attention that one query paid them.

    Attributes:
        query: The query.
        chunks: What is kept, in the order asked for, best first by default; ties keep input order.
        scores: `RankedChunk.score` of every input chunk, in input order, whatever was cut.
        profile: The heads that were read.
        timings: Seconds by stage. In `AttentionRanker.rank_batch` the queries share one set.
        notes: What a caller should know: chunks that were split or skipped, in sentences.
        evidence: How much the query's attention found, in [0, 1]; see `HeadProfile.evidence`.
        no_evidence: Whether that is less than the threshold, so that the answer is likely not here.
        dropped: Chunks that are not kept, best first, each with its reason.
        n_tokens_before: Tokens of all chunks as the reader would get them, counted with the
            reader's tokenizer; `None` where trimming was not asked for.
        n_tokens_after: The same of what is kept.
        trace: The attention that it was made of; `None` on a ranking that was put together by hand.
        stability: Where the chunks were read in two orders, the rank correlation (Kendall's tau-b)
            of the two results, in [-1, 1]: the lower, the more the order of the chunks matters.
    """

    query: str
    chunks: tuple[RankedChunk, ...]
    scores: tuple[float, ...]
    profile: HeadProfile
    timings: Timings
    notes: tuple[str, ...] = ()
    evidence: float = 0.0
    no_evidence: bool = False
    dropped: tuple[RankedChunk, ...] = ()
    n_tokens_before: int | None = None
    n_tokens_after: int | None = None
    trace: Trace | None = field(default=None, repr=False, compare=False)
    stability: float | None = None

    @property
    def split(self) -> tuple[int, ...]:
        """Input indices of kept chunks that were read in more than one window."""
        return tuple(chunk.index for chunk in self.chunks if chunk.n_windows > 1)

    @property
    def skipped(self) -> tuple[int, ...]:
        """Input indices of kept chunks that were not scored."""
        return tuple(chunk.index for chunk in self.chunks if chunk.skipped is not None)

    def explain(self) -> Explanation:
        """The attention drawn over the text: HTML, a notebook's cell, a terminal, JSON.

        With `rank(..., query_words=True)` it also shows where each word of the query looked.

        Raises:
            ValueError: If there is no `trace`.
        """
        from attnmass.explain import explain

        return explain(self)


@dataclass(frozen=True, slots=True)
class WarmResult:
    """What `AttentionRanker.warm` did.

    Attributes:
        read: How many chunks the model read.
        skipped: How many were in the cache already.
        unreadable: How many have nothing to read: blank, or no text.
        evicted: How many entries had to leave the cache folder, or memory where there is no folder,
            to make room: above 0, the bound is too small for all of the chunks.
    """

    read: int
    skipped: int
    unreadable: int
    evicted: int


@dataclass(frozen=True, slots=True)
class RankerStats:
    """What a ranker did since it was built.

    Attributes:
        calls: How often chunks were ranked, looked at or warmed.
        hits: How many windows (chunks, where none is split) queries found in the cache.
        misses: How many they did not find, and had to wait for. What `warm` reads is neither.
        memory_bytes: What the cache holds in memory now.
        folder_bytes: What the cache folder holds now, whoever wrote it.
        evictions: How many entries left memory to make room.
        folder_evictions: How many this ranker removed from the folder to make room.
        tokens_encoded: Tokens of chunks that the model read.
        tokenize_seconds: Time spent on turning queries and chunks into tokens.
        encode_seconds: Time spent on reading chunks, from the cache or by the model.
        query_seconds: Time spent on the queries' passes.
    """

    calls: int
    hits: int
    misses: int
    memory_bytes: int
    folder_bytes: int
    evictions: int
    folder_evictions: int
    tokens_encoded: int
    tokenize_seconds: float
    encode_seconds: float
    query_seconds: float


def span_id(digest: str, start: int, end: int) -> str:
    """The id of a place in the text with this `text_digest`."""
    return f"{digest}-{start}-{end}"


def text_digest(text: str) -> str:
    """Tells texts apart; any `str`, lone surrogates included."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
