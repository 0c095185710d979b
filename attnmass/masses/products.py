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
        tile: Tokens of each part, the last one padded.
        columns: Columns of each part at most.
        turned: Whether tokens are the columns of what is multiplied.
    """

    tile: int
    columns: int
    turned: bool = False


# The fastest first; the second is for processors with AVX2 and no AVX-512.
_WAYS = (Way(32, 128), Way(16, 128, turned=True), Way(96, 8))
ROUND = 384  # tokens, a multiple of all tiles
# Multiplications of one part: OpenBLAS makes more of them in threads of its own, which get in the
# way of those that look at several blocks.
_ALONE = 1 << 18

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
    n_dims, n_columns = matrix.shape
    step = min(way.columns, max(8, _ALONE // (way.tile * n_dims) // 8 * 8))
    found = np.empty((len(tiles), way.tile, n_columns), dtype=np.float32)
    for start in range(0, n_columns, step):
        here = found[..., start : start + step]
        part = np.ascontiguousarray(matrix[:, start : start + step])
        if way.turned:
            here[...] = np.matmul(part.T, tiles.transpose(0, 2, 1)).transpose(0, 2, 1)
        else:
            np.matmul(tiles, part, out=here)
    return found


def _exact(codes: Floats, matrix: Floats) -> Floats:
    """A product in doubles that no order of sums changes; slower."""
    step = np.ldexp(1.0, np.frexp(np.abs(matrix).max(axis=0))[1] - _EXACT_BITS)
    rounded = np.rint(matrix.astype(np.float64) / step) * step
    return np.asarray(codes.astype(np.float64) @ rounded, dtype=np.float32)
