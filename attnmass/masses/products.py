"""Products of key vectors and query vectors, in which a token's numbers are the same in any place.

Libraries sum in a different order at the end of a matrix than in its middle, and some (OpenBLAS on
processors with AVX2 and no AVX-512) in groups of six rows: the last bit of a product then depends
on where in it a token was, and so on what a chunk's neighbours were. So products are made in tiles
of one size, in a way that was seen to give identical tokens the same numbers at every place.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Way(NamedTuple):
    """How a product is cut.

    Attributes:
        tile: Tokens of each part, the last one padded. Small enough for one thread to make it.
        columns: Columns of each part at most.
    """

    tile: int
    columns: int


# The fastest first.
_WAYS = (Way(128, 1 << 30), Way(192, 8))
ROUND = 384  # tokens, a multiple of all tiles

_TRIES = 4  # different tokens that are tried at each place of a tile
# Bits of a query's numbers: with those of a code and of the count of summands, fewer than a double
# has, so that every sum is exact, in whatever order.
_EXACT_BITS = 36


def products(codes: Floats, n_tokens: int, matrix: Floats) -> Floats:
    """The product of each token, `[token, column]`.

    Args:
        codes: `[token, dim]`, padded with zeros to a multiple of `ROUND` tokens.
        n_tokens: How many tokens there are.
        matrix: `[dim, column]`.
    """
    way = way_of(*matrix.shape)
    if way is None:
        return _exact(codes[:n_tokens], matrix)
    n_tiles = -(-n_tokens // way.tile)
    tiles = codes[: n_tiles * way.tile].reshape(n_tiles, way.tile, -1)
    return _cut(tiles, matrix, way).reshape(n_tiles * way.tile, -1)[:n_tokens]


@lru_cache(maxsize=1024)
def way_of(n_dims: int, n_columns: int) -> Way | None:
    """The first way that gives identical tokens the same numbers; `None` if none does."""
    random = np.random.default_rng(0)
    matrix = random.standard_normal((n_dims, n_columns), dtype=np.float32)
    tokens = random.integers(-127, 128, (_TRIES, n_dims)).astype(np.float32)
    for way in _WAYS:
        tiles = np.zeros((_TRIES, way.tile, 2, n_dims), dtype=np.float32)
        tiles[:, :, 1] = tokens[:, None]
        found = _cut(tiles[:, :, 1], matrix, way)
        if bool((found == found[:, :1]).all()):
            return way
    return None


def _cut(tiles: Floats, matrix: Floats, way: Way) -> Floats:
    """A product in parts, `[tile, token, column]`."""
    n_columns = matrix.shape[1]
    if n_columns <= way.columns:
        return np.asarray(tiles @ matrix)
    starts = range(0, n_columns, way.columns)
    parts = [np.ascontiguousarray(matrix[:, start : start + way.columns]) for start in starts]
    return np.concatenate([tiles @ part for part in parts], axis=-1)


def _exact(codes: Floats, matrix: Floats) -> Floats:
    """A product in doubles that no order of sums changes; slower."""
    step = np.ldexp(1.0, np.frexp(np.abs(matrix).max(axis=0))[1] - _EXACT_BITS)
    rounded = np.rint(matrix.astype(np.float64) / step) * step
    return np.asarray(codes.astype(np.float64) @ rounded, dtype=np.float32)
