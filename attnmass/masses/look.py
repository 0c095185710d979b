"""One product of query vectors and key vectors, and its log-sum-exp over each chunk's tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attnmass.masses.vectors import KeyVectors, joined

# Tokens whose scores are held at once: what fits into a processor's cache, and bounds the memory
# that a query takes however many chunks there are.
BLOCK_TOKENS = 4096
# Products are made of so many tokens at once, never of fewer: for other numbers of rows libraries
# take other ways to sum, with another last bit.
_TILE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """What looks: the rows of a query, or of several.

    Attributes:
        vectors: Scaled so that a product with a key vector is a score, fp32, `[row, head, dim]`.
        key_of: For each head the index of its key head.
        caps: For each head where its scores are soft-capped, `None` where they are not.
    """

    vectors: Tensor
    key_of: tuple[int, ...]
    caps: tuple[float | None, ...]

    @property
    def by_key(self) -> list[tuple[int, list[int]]]:
        """Each key head that is looked at, with the heads that look at it."""
        found: dict[int, list[int]] = {}
        for head, key in enumerate(self.key_of):
            found.setdefault(key, []).append(head)
        return sorted(found.items())

    @property
    def order(self) -> list[int]:
        """The heads in the order of `by_key`, in which products are made."""
        return [head for _, heads in self.by_key for head in heads]

    @property
    def places(self) -> list[int]:
        """For each head where it is in `order`."""
        order = self.order
        return [order.index(head) for head in range(len(order))]

    def to(self, device: torch.device) -> Queries:
        """The same on another device."""
        return Queries(self.vectors.to(device), self.key_of, self.caps)


def look(
    queries: Queries, keys: Sequence[KeyVectors], *, block_tokens: int = BLOCK_TOKENS
) -> Tensor:
    """How much each chunk has for each head and row, before it shares with others.

    `L[c, h, r] = log sum over the tokens t of c of exp(q[h, r] . k[h, t])`, so that the attention
    mass of c among any chunks is `exp(L[c] - log sum exp(L))`. What a chunk gets depends on its own
    key vectors and the query's alone: neighbours, their number and their order change no bit of it.

    Args:
        queries: The rows.
        keys: What is kept of each chunk, each of at least one token.
        block_tokens: Tokens that are looked at together, unless a single chunk has more.

    Returns:
        `[chunk, head, row]`, fp32, on the CPU.
    """
    n_rows, n_heads, _ = queries.vectors.shape
    out = np.empty((len(keys), n_heads * n_rows), dtype=np.float32)
    start = 0
    for block in _blocks(keys, block_tokens):
        scores = _scores(queries, block)  # [token, head * row]
        sizes = [len(chunk) for chunk in block]
        out[start : start + len(block)] = _log_sum_exp(scores, sizes)
        start += len(block)
    return torch.from_numpy(out).reshape(len(keys), n_heads, n_rows)[:, queries.places]


def token_scores(queries: Queries, keys: KeyVectors) -> Tensor:
    """The score of each token, `[row, head, token]`, fp32, on the CPU; see `look`."""
    n_rows, n_heads, _ = queries.vectors.shape
    scores = _scores(queries, [keys]).cpu().reshape(len(keys), n_heads, n_rows)
    return scores.permute(2, 1, 0)[:, queries.places]


def _blocks(keys: Sequence[KeyVectors], most: int) -> Iterator[list[KeyVectors]]:
    block: list[KeyVectors] = []
    size = 0
    for chunk in keys:
        if block and size + len(chunk) > most:
            yield block
            block, size = [], 0
        block.append(chunk)
        size += len(chunk)
    if block:
        yield block


@torch.inference_mode()
def _scores(queries: Queries, block: Sequence[KeyVectors]) -> Tensor:
    """Scores of the tokens of some chunks, `[token, head * row]`, heads as in `Queries.order`."""
    n_rows = queries.vectors.shape[0]
    keys = joined(block)
    n_tokens, n_keys, n_dims = keys.codes.shape
    n_tiles = -(-n_tokens // _TILE)
    codes = queries.vectors.new_zeros((n_tiles * _TILE, n_keys, n_dims))
    codes[:n_tokens] = keys.codes
    scores = codes.new_empty((n_tiles * _TILE, len(queries.order) * n_rows))
    start = 0
    for key_head, heads in queries.by_key:
        rows = queries.vectors[:, heads].permute(2, 1, 0).flatten(1)  # [dim, head * row]
        columns = slice(start, start + rows.shape[1])
        for tile in range(0, len(codes), _TILE):
            here = slice(tile, tile + _TILE)
            torch.mm(codes[here, key_head], rows, out=scores[here, columns])
        scores[:n_tokens, columns] *= keys.scales[:, key_head, None].to(scores.dtype)
        start = columns.stop
    for place, head in enumerate(queries.order):
        cap = queries.caps[head]
        if cap is not None:
            mine = scores[:, place * n_rows : (place + 1) * n_rows]
            mine.copy_(cap * torch.tanh(mine / cap))
    return scores[:n_tokens]


def _log_sum_exp(scores: Tensor, sizes: Sequence[int]) -> np.ndarray:
    """Over runs of rows of `[token, column]`, `[run, column]`.

    Not by torch: its sums take another order where a run is filled up to a longer one, and with it
    another last bit; `reduceat` adds each run by itself.
    """
    starts = np.cumsum([0, *sizes[:-1]])
    table = scores.cpu().numpy()
    highest = np.maximum.reduceat(table, starts, axis=0)
    powers = torch.from_numpy(table - np.repeat(highest, sizes, axis=0)).exp_().numpy()
    return np.asarray(highest + np.log(np.add.reduceat(powers, starts, axis=0)))
