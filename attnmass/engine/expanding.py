"""Attention on distinct texts brought to all chunks of a call, copies and skipped ones included."""

from __future__ import annotations

import torch
from torch import Tensor

from attnmass.layouts import QueryAttention
from attnmass.layouts.base import Beside, Groups
from attnmass.text.inputs import Inputs


def expanded(found: QueryAttention, inputs: Inputs, n_heads: int) -> QueryAttention:
    """What each chunk got, in input order; chunks without text have no tokens and nothing."""
    nothing = torch.zeros(n_heads, 0, dtype=torch.float32)
    order = [inputs.places.get(index) for index in range(len(inputs.chunks))]

    def each(chunks: object) -> tuple[Tensor, ...]:
        return tuple(nothing if place is None else chunks[place] for place in order)  # type: ignore[index]

    return QueryAttention(
        each(found.chunks),
        found.context,
        null=None if found.null is None else each(found.null),
        sums=None if found.sums is None else _rows(found.sums, order),
        beside=None if found.beside is None else _Expanded(found.beside, order),
    )


def _rows(found: Tensor, order: list[int | None]) -> Tensor:
    """Rows in another order, zeros where there is none."""
    nothing = found.new_zeros(found.shape[1])
    return torch.stack([nothing if place is None else found[place] for place in order])


class _Expanded:
    """`Beside` of all chunks."""

    def __init__(self, found: Beside, order: list[int | None]) -> None:
        self._found = found
        self._order = order
        self.chunks = _rows(found.chunks, order)

    def parts(self, place: int, groups: Groups) -> Tensor:
        """See `Beside.parts`."""
        known = self._order[place]
        if known is None:
            return self.chunks.new_zeros(len(groups), self.chunks.shape[1])
        return self._found.parts(known, groups)
