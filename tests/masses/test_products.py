"""Products in which a token's numbers are the same wherever it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from attnmass.masses import products as module
from attnmass.masses.products import ROUND, Floats, Way, products, way_of

N_TOKENS = 300


@pytest.fixture
def fresh() -> Iterator[None]:
    """No way is known from before, nor after."""
    way_of.cache_clear()
    yield
    way_of.cache_clear()


def codes_of(tokens: Floats) -> Floats:
    """Tokens as `products` takes them: filled up, one key head of several."""
    found = np.zeros((ROUND, 3, tokens.shape[1]), dtype=np.float32)
    found[: len(tokens), 1] = tokens
    return np.asarray(found[:, 1])


def drawn(n_dims: int, n_columns: int) -> tuple[Floats, Floats]:
    """Tokens and a matrix of the sizes that key vectors and queries have."""
    random = np.random.default_rng(n_dims + n_columns)
    tokens = random.integers(-127, 128, (N_TOKENS, n_dims)).astype(np.float32)
    return tokens, random.standard_normal((n_dims, n_columns), dtype=np.float32)


@pytest.mark.parametrize("n_columns", [1, 5, 8, 12, 16, 36, 100, 300])
@pytest.mark.parametrize("n_dims", [8, 64, 128])
def test_a_place_changes_no_bit(n_dims: int, n_columns: int) -> None:
    """Any token among others, in another order and alone, has the same product to the bit."""
    tokens, matrix = drawn(n_dims, n_columns)
    whole = products(codes_of(tokens), N_TOKENS, matrix)
    turned = products(codes_of(tokens[::-1]), N_TOKENS, matrix)
    assert np.array_equal(whole, turned[::-1])
    for place in (0, 7, 127, 128, 299):
        alone = products(codes_of(tokens[place : place + 1]), 1, matrix)
        assert np.array_equal(alone[0], whole[place])
    np.testing.assert_allclose(whole, tokens.astype(np.float64) @ matrix, rtol=1e-5, atol=2e-3)


@pytest.mark.usefixtures("fresh")
def test_an_uneven_way_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that sums otherwise at some place of a tile is seen, and the next way is taken."""
    cut, uneven = module._cut, {way.tile for way in module._WAYS}

    def cut_unevenly(tiles: Floats, matrix: Floats, way: Way) -> Floats:
        found = cut(tiles, matrix, way)
        if way.tile in uneven:
            found[:, 3] = np.nextafter(found[:, 3], np.float32(np.inf))
        return found

    monkeypatch.setattr(module, "_cut", cut_unevenly)
    assert way_of(64, 6) is None
    tokens, matrix = drawn(64, 6)
    whole = products(codes_of(tokens), N_TOKENS, matrix)
    turned = products(codes_of(tokens[::-1]), N_TOKENS, matrix)
    assert np.array_equal(whole, turned[::-1])
    right = tokens.astype(np.float64) @ matrix.astype(np.float64)
    np.testing.assert_allclose(whole, right, rtol=1e-6, atol=1e-4)
    for way in reversed(module._WAYS):
        uneven.remove(way.tile)
        way_of.cache_clear()
        assert way_of(64, 6) == way
        np.testing.assert_allclose(products(codes_of(tokens), N_TOKENS, matrix), right, 1e-5, 2e-3)


@pytest.mark.parametrize("kind", ["Haswell", "Zen", "Sandybridge"])
def test_older_processors(kind: str) -> None:
    """With what OpenBLAS has for an older processor, a fast way is found, and no bit changes."""
    script = (
        "import numpy as np; from attnmass.masses.products import *\n"
        "random = np.random.default_rng(0)\n"
        "for n_dims, n_columns in ((64, 84), (128, 100), (256, 60)):\n"
        "    assert way_of(n_dims, n_columns) is not None\n"
        "    tokens = random.integers(-127, 128, (ROUND, n_dims)).astype(np.float32)\n"
        "    matrix = random.standard_normal((n_dims, n_columns), dtype=np.float32)\n"
        "    whole = products(tokens, ROUND, matrix)\n"
        "    again = products(np.ascontiguousarray(tokens[::-1]), ROUND, matrix)\n"
        "    assert np.array_equal(whole, again[::-1])\n"
    )
    env = {**os.environ, "OPENBLAS_CORETYPE": kind}
    subprocess.run([sys.executable, "-c", script], env=env, check=True, timeout=120)


@pytest.mark.parametrize("way", module._WAYS)
@pytest.mark.parametrize(("n_dims", "n_columns"), [(64, 112), (128, 40), (256, 200), (512, 9)])
def test_each_product_is_left_to_one_thread(
    monkeypatch: pytest.MonkeyPatch, way: Way, n_dims: int, n_columns: int
) -> None:
    """Parts are so small that OpenBLAS, too, makes them where it is called."""
    sizes: list[int] = []
    whole = np.matmul

    def seen(first: Floats, second: Floats, **options: object) -> Floats:
        sizes.append(first.shape[-2] * first.shape[-1] * second.shape[-1])
        return np.asarray(whole(first, second, **options))  # type: ignore[call-overload]

    monkeypatch.setattr(module.np, "matmul", seen)
    tiles = np.ones((2, way.tile, n_dims), dtype=np.float32)
    found = module._cut(tiles, np.ones((n_dims, n_columns), dtype=np.float32), way)
    assert (found == n_dims).all()
    assert found.shape == (2, way.tile, n_columns)
    assert sizes
    assert max(sizes) <= 1 << 18 or n_dims * way.tile * 8 > 1 << 18  # eight columns at least
