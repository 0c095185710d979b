"""What goes into a ranker and what comes out: plain frozen data, no tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnmass.profiles import HeadProfile


@dataclass(frozen=True, slots=True)
class Chunk:
    """One retrieved text.

    Attributes:
        text: The text that is scored.
        title: A line put before the text for the model to read; its tokens count as the chunk's.
    """

    text: str
    title: str | None = None


@dataclass(frozen=True, slots=True)
class RankedChunk:
    """One chunk of a `Ranking`.

    Attributes:
        index: Position of the chunk in the input, 0-based.
        score: Attention mass, the share of the query's attention that the chunk got, in [0, 1].
        n_tokens: Tokens that the model read for this chunk, title included; 0 if skipped.
        n_windows: Overlapping windows that a chunk too long for the model was split into; else 1.
        retrieval_score: The score that the caller passed for it, if any.
        fused_score: What the order is by when scores were fused, else `None`.
        skipped: Why the chunk was not scored (it is then last, with score 0.0), else `None`.
    """

    index: int
    score: float
    n_tokens: int
    n_windows: int = 1
    retrieval_score: float | None = None
    fused_score: float | None = None
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of wall-clock time spent on one call, by stage.

    Attributes:
        tokenize: Turning query and chunks into tokens.
        encode: Reading the chunks.
        query: The query's pass over what was read.
        total: The whole call, waiting for another thread's call to end included.
    """

    tokenize: float
    encode: float
    query: float
    total: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Chunks in order of the attention that one query paid them.

    Attributes:
        query: The query.
        chunks: Best first; ties keep input order; cut by `top_n` and `score_threshold`.
        scores: Attention mass of every input chunk, in input order, whatever was cut.
        profile: The heads that were read.
        timings: Seconds by stage. In `AttentionRanker.rank_batch` the queries share one set.
        notes: What a caller should know: chunks that were split or skipped, in sentences.
    """

    query: str
    chunks: tuple[RankedChunk, ...]
    scores: tuple[float, ...]
    profile: HeadProfile
    timings: Timings
    notes: tuple[str, ...] = ()

    @property
    def split(self) -> tuple[int, ...]:
        """Input indices of kept chunks that were read in more than one window."""
        return tuple(chunk.index for chunk in self.chunks if chunk.n_windows > 1)

    @property
    def skipped(self) -> tuple[int, ...]:
        """Input indices of kept chunks that were not scored."""
        return tuple(chunk.index for chunk in self.chunks if chunk.skipped is not None)


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
