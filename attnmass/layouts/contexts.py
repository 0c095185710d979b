"""How chunks are put into contexts that the model reads at once, and how the results are merged.

Pure functions over lengths and arrays; no model in here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnmass.layouts.base import LayoutResult, QueryAttention
from attnmass.layouts.windows import Window
from attnmass.text.tokens import Tokens

_LEAST_REST = 1e-6  # attention outside the chunks, of which others are multiples


@dataclass(frozen=True, slots=True)
class Placed:
    """A window in a context.

    Attributes:
        window: The window.
        start: Index of its first token among the context's tokens.
    """

    window: Window
    start: int


def pack(sizes: Sequence[int], room: int | None) -> list[list[int]]:
    """Put items, in order, into as few runs as have room for them, of sizes as even as possible.

    Where there are several runs, each begins with the last item of the one before, if there is room
    for it beside a new one.

    Args:
        sizes: Tokens of each item, none above `room`; at least one.
        room: Tokens in a run; `None` for no limit.

    Returns:
        Indices of the items of each run.
    """
    if room is None or sum(sizes) <= room:
        return [list(range(len(sizes)))]
    fewest = len(_filled(sizes, room))
    low, high = max(sizes), room
    while low < high:
        middle = (low + high) // 2
        if len(_filled(sizes, middle)) <= fewest:
            high = middle
        else:
            low = middle + 1
    return _filled(sizes, high)


def _filled(sizes: Sequence[int], room: int) -> list[list[int]]:
    runs: list[list[int]] = [[]]
    used = 0
    for index, size in enumerate(sizes):
        if runs[-1] and used + size > room:
            last = index - 1
            shared = [last] if len(runs[-1]) > 1 and sizes[last] + size <= room else []
            runs.append(shared)
            used = sum(sizes[i] for i in shared)
        runs[-1].append(index)
        used += size
    return runs


def merge(
    parts: Sequence[tuple[Sequence[Placed], Tensor]], chunks: Sequence[Tokens]
) -> list[QueryAttention]:
    """Attention on chunks from that on the contexts that have them.

    One context is taken as it is. With several, each has its own softmax, and what they share is
    the attention outside the chunks (template, instruction, the query): what a token gets is taken
    as a multiple of that, which does not depend on how many other chunks the context has; tokens
    that are in several windows count as the mean; and all multiples together are converted back to
    shares of one softmax. That would be exact if the query's scores were the same in every context,
    which is only nearly so.

    Args:
        parts: For each context, its windows, and attention on its keys, `[group, head, key]`.
        chunks: What was cut into windows.

    Returns:
        One for each group.
    """
    n_groups, n_heads = parts[0][1].shape[:2]
    sums = [torch.zeros(n_groups, n_heads, len(chunk), dtype=torch.float32) for chunk in chunks]
    times = [torch.zeros(len(chunk), dtype=torch.float32) for chunk in chunks]
    rest = torch.zeros(n_groups, n_heads, dtype=torch.float32)
    for placed, attention in parts:
        seen = [
            (each.window, attention[..., each.start : each.start + len(each.window)])
            for each in placed
        ]
        on_chunks = torch.stack([found.sum(dim=-1) for _, found in seen]).sum(dim=0)
        if len(parts) > 1:
            unit = (1 - on_chunks).clamp(min=_LEAST_REST)[..., None]
        else:
            unit = torch.ones(1, dtype=torch.float32)
            rest = attention.sum(dim=-1) - on_chunks
        for window, found in seen:
            sums[window.chunk][..., window.start : window.end] += found / unit
            times[window.chunk][window.start : window.end] += 1
    masses = [total / count for total, count in zip(sums, times, strict=True)]
    if len(parts) > 1:
        whole = 1 + torch.stack([mass.sum(dim=-1) for mass in masses]).sum(dim=0)
        masses = [mass / whole[..., None] for mass in masses]
        rest = 1 / whole
    return [
        QueryAttention(tuple(mass[group] for mass in masses), rest[group])
        for group in range(n_groups)
    ]


def with_rows(whole: QueryAttention, *tokens: QueryAttention) -> QueryAttention:
    """A query's attention with that of each of its tokens, where there is any."""
    if not tokens:
        return whole
    by_chunk = zip(*(each.chunks for each in tokens), strict=True)
    return replace(whole, rows=tuple(torch.stack(rows) for rows in by_chunk))


def averaged(first: QueryAttention, second: QueryAttention) -> QueryAttention:
    """The mean of two passes over the same chunks in the same order; it keeps both passes."""

    def mean(one: Sequence[Tensor], other: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple((a + b) / 2 for a, b in zip(one, other, strict=True))

    null = None
    if first.null is not None and second.null is not None:
        null = mean(first.null, second.null)
    rows = None
    if first.rows is not None and second.rows is not None:
        rows = mean(first.rows, second.rows)
    return QueryAttention(
        mean(first.chunks, second.chunks),
        (first.context + second.context) / 2,
        rows,
        null=null,
        passes=(first, second),
    )


def reversed_back(attention: QueryAttention) -> QueryAttention:
    """What was found over reversed chunks, in the order of the chunks."""
    null = None if attention.null is None else attention.null[::-1]
    rows = None if attention.rows is None else attention.rows[::-1]
    return QueryAttention(attention.chunks[::-1], attention.context, rows, null=null)


def both_ways(
    run: Callable[[Sequence[Tokens]], LayoutResult], chunks: Sequence[Tokens]
) -> LayoutResult:
    """The mean over the chunks in their order and in reverse."""
    first, second = run(chunks), run(chunks[::-1])
    queries: list[QueryAttention] = [
        averaged(one, reversed_back(other))
        for one, other in zip(first.queries, second.queries, strict=True)
    ]
    return LayoutResult(
        queries=tuple(queries),
        windows=first.windows,
        encode_seconds=first.encode_seconds + second.encode_seconds,
        query_seconds=first.query_seconds + second.query_seconds,
        tokens_encoded=first.tokens_encoded + second.tokens_encoded,
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
    )
