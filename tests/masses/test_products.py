"""Products in which a token's numbers are the same wherever it stands."""

from __future__ import annotations

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
    cut, uneven = module._cut, {128, 192}

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
    uneven.remove(192)
    way_of.cache_clear()
    assert way_of(64, 6) == Way(192, 8)
