"""Pairs of a query and a window of a chunk: what was seen of each, merged by chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnmass.layouts.base import QueryAttention
from attnmass.layouts.windows import Window, by_chunk
from attnmass.options.choices import Direction
from attnmass.text.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and one window of a chunk."""

    query: int
    window: Window


@dataclass(frozen=True, slots=True)
class Seen:
    """Attention on a window's tokens, and what the head says about the pair.

    Both are `[head, token]`, or `[query token, head, token]`, of which the mean and the sum count.
    """

    from_query: Tensor
    to_query: Tensor
    logit: float | None


def merge(
    windows: Sequence[tuple[Window, Seen]],
    chunks: Sequence[Tokens],
    direction: Direction,
    *,
    with_logit: bool,
) -> QueryAttention:
    """Merge one query's windows.

    A token that was read twice gets the mean. Every window had all of the query's attention
    to itself, so what a chunk of several windows got is divided by their number; its logit is
    that of its best window (MaxP: Dai and Callan, arXiv 1905.09217).
    """
    places = [window for window, _ in windows]
    times = Counter(window.chunk for window in places)
    from_query, to_query = (
        by_chunk(torch.cat(parts, dim=-1), places, chunks, 0)
        for parts in zip(*((one.from_query, one.to_query) for _, one in windows), strict=True)
    )
    from_rows, to_rows = (from_query.rows, to_query.rows)
    share = {"query_to_chunk": (1.0, 0.0), "chunk_to_query": (0.0, 1.0), "both": (0.5, 0.5)}
    there, back = share[direction]

    def mixed(out: Sequence[Tensor], home: Sequence[Tensor], n_rows: int) -> tuple[Tensor, ...]:
        return tuple(
            there * x / times[i] + back * y * n_rows / len(chunks[i])
            for i, (x, y) in enumerate(zip(out, home, strict=True))
        )

    # Of the query's tokens, those that look are averaged, and those that are looked at are added
    # up.
    n_rows = 1 if from_rows is None else len(from_rows[0])
    masses = mixed(from_query.chunks, to_query.chunks, n_rows)
    rows = None
    if from_rows is not None and to_rows is not None:
        rows = mixed(from_rows, to_rows, n_rows)
    context = 1 - torch.stack([mass.sum(dim=1) for mass in masses]).mean(dim=0)
    logits: list[float] = [-float("inf")] * len(chunks)
    for window, one in windows:
        if one.logit is not None:
            logits[window.chunk] = max(logits[window.chunk], one.logit)
    said = tuple(logits) if with_logit else None
    return QueryAttention(masses, context, rows, said)
