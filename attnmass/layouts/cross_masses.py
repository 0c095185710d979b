"""From the cross-attention of queries to each chunk's share of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attnmass.capture import CrossAttention
from attnmass.layouts.base import QueryAttention
from attnmass.layouts.contexts import with_rows
from attnmass.layouts.frames import Frame
from attnmass.layouts.windows import Window, by_chunk
from attnmass.options.cross import Aggregation
from attnmass.text.tokens import Tokens


def by_query(seen: CrossAttention, lengths: Sequence[int]) -> list[CrossAttention]:
    """What each query and each of its tokens saw, on the CPU, without padding."""
    found = []
    each = seen.each
    for i, length in enumerate(lengths):
        mine = None
        if each is not None:
            mine = CrossAttention(each.weights[i, :length].cpu(), each.logs[i, :length].cpu())
        found.append(CrossAttention(seen.weights[i].cpu(), seen.logs[i].cpu(), mine))
    return found


def of_chunks(
    seen: CrossAttention,
    windows: Sequence[Window],
    chunks: Sequence[Tokens],
    frame: Frame,
    aggregation: Aggregation,
) -> QueryAttention:
    """Cut what a query saw by chunk; what the frame got is context."""
    whole = _masses(seen, windows, chunks, frame, aggregation)
    if seen.each is None:
        return whole
    pairs = zip(seen.each.weights, seen.each.logs, strict=True)
    each = [_masses(CrossAttention(*one), windows, chunks, frame, aggregation) for one in pairs]
    return with_rows(whole, *each)


def _masses(
    seen: CrossAttention,
    windows: Sequence[Window],
    chunks: Sequence[Tokens],
    frame: Frame,
    aggregation: Aggregation,
) -> QueryAttention:
    masses = _cut(seen.weights, windows, chunks, frame)
    if aggregation == "attention":
        return masses
    logs = _cut(seen.logs, windows, chunks, frame)
    means = torch.stack([chunk.mean() for chunk in logs.chunks])  # over heads and tokens
    shares = means.softmax(dim=0)
    return QueryAttention(
        tuple(
            share * chunk / chunk.sum(dim=1, keepdim=True).clamp_min(1e-30)
            for share, chunk in zip(shares, masses.chunks, strict=True)
        ),
        torch.zeros_like(masses.context),
    )


def _cut(
    found: Tensor, windows: Sequence[Window], chunks: Sequence[Tokens], frame: Frame
) -> QueryAttention:
    """Split `[head, key]`, the keys being windows in their frames, by chunk; frames are context."""
    sizes = [size for w in windows for size in (len(frame.before), len(w), len(frame.after))]
    parts = found.split_with_sizes(sizes, dim=1)
    inside = parts[1::3]
    around = [part for number, part in enumerate(parts) if number % 3 != 1]
    return by_chunk(torch.cat([*inside, *around], dim=1), windows, chunks, 0)
