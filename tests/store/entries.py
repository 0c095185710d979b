"""Entries of random numbers, shaped as those of a small model."""

from __future__ import annotations

import torch
from torch import Tensor

from attnmass.capture import KeyValues

LAYERS, HEADS, DIMS = 3, 2, 8


def make_entry(
    n_tokens: int = 5, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> KeyValues:
    """What a window of so many tokens might have left."""
    generator = torch.Generator().manual_seed(seed)

    def some(count: int) -> tuple[Tensor, ...]:
        shape = (HEADS, n_tokens, DIMS)
        return tuple(torch.randn(shape, generator=generator).to(dtype) for _ in range(count))

    return KeyValues(some(LAYERS), some(LAYERS - 1), torch.arange(n_tokens) + 3)


def make_key(number: int) -> str:
    """A key as `entry_key` makes them."""
    return f"{number:064x}"


def same(one: dict[str, Tensor] | None, other: dict[str, Tensor]) -> bool:
    """Whether two entries' tensors are equal, bit by bit."""
    if one is None or one.keys() != other.keys():
        return False
    return all(torch.equal(one[name], other[name]) for name in other)
