"""How chunks are cut into windows, windows and queries are batched, and the result is put back.

Pure functions over lengths and arrays; no model in here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass

import torch
from torch import Tensor

from attnmass.layouts.base import AnsweredQuery, LayoutOptions, QueryAttention
from attnmass.text.tokens import Tokens

SHORTEST_WINDOW = 64  # tokens; where not even these fit, the error is the caller's
_AND_A_CHUNK = "the prompt and a piece of a chunk"
_QUERY_STEP = 64  # tokens by which the room that is left for queries grows


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `[start, end)` of one chunk that are read together."""

    chunk: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def ids(self, chunks: Sequence[Tokens]) -> tuple[int, ...]:
        """Their ids."""
        return chunks[self.chunk].ids[self.start : self.end]


def lowest(*limits: int | None) -> int | None:
    """The lowest of some limits, each of which may be absent (`None`)."""
    return min((limit for limit in limits if limit is not None), default=None)


def window_limit(
    free: int | None,
    longest_query: int,
    longest_chunk: int,
    wanted: int | None,
    asked: AnsweredQuery | None = None,
) -> int | None:
    """How long a window may be, or `None` for no limit.

    Args:
        free: Positions that the model has besides the prompt; `None` for no limit.
        longest_query: Tokens of the longest query, 0 if none is known yet.
        longest_chunk: Tokens of the longest chunk.
        wanted: The user's own limit, if any.
        asked: Query and answer, where they are what is that long.

    Raises:
        ValueError: If the query leaves no room for a piece of a chunk.
    """
    if free is None:
        return wanted
    least = min(SHORTEST_WINDOW, longest_chunk)
    if free - longest_query < least:
        raise too_long(longest_query, free - least, _AND_A_CHUNK, asked)
    # In steps, so that queries of different lengths find the same windows in the cache.
    steps = max(1, -(-longest_query // _QUERY_STEP))
    limit = max(free - steps * _QUERY_STEP, min(free - longest_query, SHORTEST_WINDOW))
    return lowest(limit, wanted)


def nearer(sizes: Sequence[Sized]) -> list[int]:
    """By how many positions windows that start at one position end before the longest one does.

    Layers with sliding windows see as much of the end of each as if it came right before the query;
    of short ones beside a long one, they would otherwise see nothing.
    """
    longest = max(map(len, sizes))
    return [longest - len(size) for size in sizes]


def cut(chunks: Sequence[Sized], limit: int | None, overlap: int) -> Iterator[Window]:
    """Windows of all chunks; those of a chunk that is too long overlap.

    Args:
        chunks: Each of at least one token.
        limit: Most tokens in a window.
        overlap: Tokens that neighbours share, at most half of them.
    """
    for index, chunk in enumerate(chunks):
        size = len(chunk) if limit is None else min(limit, len(chunk))
        step = max(1, size - min(overlap, size // 2))
        start = 0
        while start + size < len(chunk):
            yield Window(index, start, start + size)
            start += step
        yield Window(index, max(0, len(chunk) - size), len(chunk))


def n_windows(n_tokens: int, limit: int | None, overlap: int) -> int:
    """How many windows `cut` cuts a chunk of `n_tokens` tokens into."""
    if limit is None or n_tokens <= limit:
        return 1
    step = max(1, limit - min(overlap, limit // 2))
    return 1 + -(-(n_tokens - limit) // step)


def batches(lengths: Sequence[int], options: LayoutOptions) -> Iterator[list[int]]:
    """Indices of windows of similar length, longest first, within the bounds on one pass."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        widest = lengths[batch[0]] if batch else 0
        full = len(batch) == options.batch_size
        if batch and (full or widest * (len(batch) + 1) > options.max_batch_tokens):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def query_batches(tails: Sequence[Sized], options: LayoutOptions) -> Iterator[list[int]]:
    """Indices of what shares a pass, one after the other."""
    batch: list[int] = []
    size = 0
    for index, tail in enumerate(tails):
        if batch and size + len(tail) > options.max_batch_tokens:
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += len(tail)
    if batch:
        yield batch


def by_chunk(
    attention: Tensor, windows: Sequence[Window], chunks: Sequence[Tokens], n_prefix: int
) -> QueryAttention:
    """Cut attention at the windows; a token that was read twice counts once, as the mean.

    Args:
        attention: `[head, key]`, or `[query token, head, key]`, whose mean is then the query's.
        windows: What the keys after the prefix belong to, in their order.
        chunks: What was cut into windows.
        n_prefix: Keys before them.
    """
    shape = attention.shape[:-1]
    sums = [torch.zeros(*shape, len(chunk), dtype=torch.float32) for chunk in chunks]
    times = [torch.zeros(len(chunk), dtype=torch.float32) for chunk in chunks]
    parts = attention[..., n_prefix:].split_with_sizes(
        [
            *(len(window) for window in windows),
            attention.shape[-1] - n_prefix - sum(map(len, windows)),
        ],
        dim=-1,
    )
    for window, part in zip(windows, parts, strict=False):
        sums[window.chunk][..., window.start : window.end] += part
        times[window.chunk][window.start : window.end] += 1
    masses = tuple(total / count for total, count in zip(sums, times, strict=True))
    context = attention[..., :n_prefix].sum(dim=-1) + parts[-1].sum(dim=-1)
    if len(shape) == 1:
        return QueryAttention(masses, context)
    means = tuple(rows.mean(dim=0) for rows in masses)
    return QueryAttention(means, context.mean(dim=0), masses)


def counted(windows: Iterable[Window], n_chunks: int) -> tuple[int, ...]:
    """How many windows each chunk has."""
    counts = Counter(window.chunk for window in windows)
    return tuple(counts[chunk] for chunk in range(n_chunks))


def check_query_fits(
    queries: Sequence[Sized], room: int, asked: AnsweredQuery | None = None
) -> None:
    """Raise `too_long` if a query has more tokens than there is room for."""
    longest = max(map(len, queries))
    if longest > room:
        raise too_long(longest, room, "the prompt", asked)


def too_long(
    n_tokens: int,
    room: int,
    beside: str = _AND_A_CHUNK,
    asked: AnsweredQuery | None = None,
    *,
    where: str = "this model",
    remedy: str = "",
) -> ValueError:
    """The error for a query, or a query with its answer, that there is no room for.

    Args:
        n_tokens: How many they take.
        room: How many there is room for.
        beside: What takes the rest.
        asked: Query and answer, where they are what is that long.
        where: What has that room.
        remedy: What helps other than shortening the longer one.
    """
    what, longer = "the query has", "query"
    if asked is not None:
        what = "query and answer have"
        longer = "answer" if len(asked.answer) >= len(asked.query) else "query"
    return ValueError(
        f"{what} {n_tokens} tokens, and {where} has room for {max(0, room)} beside {beside}: "
        f"shorten the {longer}{remedy}"
    )
