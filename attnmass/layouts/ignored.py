"""Tokens that are read but do not count: their attention is taken out of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from attnmass.layouts.base import LayoutOptions, LayoutResult, QueryAttention

Places = Mapping[int, Sequence[int]]  # for some chunks, the tokens that do not count


def without_ignored(result: LayoutResult, options: LayoutOptions) -> LayoutResult:
    """A result in which the tokens of `LayoutOptions.ignored` get nothing."""
    if not any(options.ignored):
        return result
    queries = tuple(
        _without(found, places) if places else found
        for found, places in zip(result.queries, options.ignored, strict=True)
    )
    return replace(result, queries=queries)


def _without(found: QueryAttention, places: Places) -> QueryAttention:
    if found.sums is not None:  # such a layout has left them out itself
        return found
    return replace(
        found,
        chunks=_cleared(found.chunks, places),
        rows=None if found.rows is None else _cleared(found.rows, places),
        null=None if found.null is None else _cleared(found.null, places),
        passes=tuple(_without(each, places) for each in found.passes),
    )


def _cleared(chunks: Sequence[Tensor], places: Places) -> tuple[Tensor, ...]:
    return tuple(
        cleared(masses, places[place]) if place in places else masses
        for place, masses in enumerate(chunks)
    )


def cleared(masses: Tensor, tokens: Sequence[int], nothing: float = 0.0) -> Tensor:
    """Masses `[..., token]` with those of some tokens set to `nothing`."""
    return masses.index_fill(-1, torch.tensor(list(tokens), dtype=torch.long), nothing)
