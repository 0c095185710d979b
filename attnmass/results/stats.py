"""What was done: counts of one call, and of a ranker since it was built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WarmResult:
    """What `AttentionRanker.warm` did.

    Attributes:
        read: How many chunks the model read.
        skipped: How many were already in the cache.
        unreadable: How many have nothing to read: blank, or no text.
        evicted: How many entries had to leave the cache folder, or memory where there is no folder,
            to make room, or were too large to be kept: above 0, the bound is too small for all of
            the chunks.
    """

    read: int
    skipped: int
    unreadable: int
    evicted: int


@dataclass(frozen=True, slots=True)
class RankerStats:
    """What a ranker has done since it was built.

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
        folder_trouble: Why the folder could not be used the last time that it could not; `None`
            where it always could. Rankings continue without it.
        shared_hits: How many windows were found in the shared store.
        shared_misses: How many were asked for there and not found, for whatever reason.
        shared_failures: How often it could not be asked, or did not keep what it was given.
        shared_trouble: Why, the last time.
        shared_bytes_read: Bytes of what was found there.
        shared_bytes_written: Bytes of what it was given to keep.
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
    folder_trouble: str | None = None
    shared_hits: int = 0
    shared_misses: int = 0
    shared_failures: int = 0
    shared_trouble: str | None = None
    shared_bytes_read: int = 0
    shared_bytes_written: int = 0
