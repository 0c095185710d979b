"""Key vectors as they are kept."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass.masses import KeyVectors, joined, quantize

SHAPE = (7, 3, 16)


def test_rounding_is_small() -> None:
    """Each number is within half a code of what the model gave, by its token's own scale."""
    vectors = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)) * 5
    found = quantize(vectors)
    back = found.codes.float() * found.scales.float()[..., None]
    step = vectors.abs().amax(dim=-1, keepdim=True) / 127
    assert bool(((back - vectors).abs() <= 0.56 * step).all())


def test_zeros_and_large_numbers() -> None:
    """A vector of zeros stays one, and what half precision cannot scale is still finite."""
    found = quantize(torch.tensor([[[0.0, 0.0], [1e9, -1.0]]]))
    assert found.codes[0, 0].tolist() == [0, 0]
    assert bool(torch.isfinite(found.scales).all())
    assert found.codes[0, 1, 0] == 127


def test_there_and_back() -> None:
    """What is read back is bit-equal."""
    kept = quantize(torch.randn(SHAPE))
    read = KeyVectors.from_bytes(kept.to_bytes(), *SHAPE)
    assert read is not None
    assert torch.equal(read.codes, kept.codes)
    assert torch.equal(read.scales, kept.scales)


@pytest.mark.parametrize("shape", [(8, 3, 16), (7, 2, 16), (7, 3, 8), (0, 3, 16), (14, 3, 8)])
def test_other_shapes_are_a_miss(shape: tuple[int, int, int]) -> None:
    """Data of another chunk, model or profile is none."""
    assert KeyVectors.from_bytes(quantize(torch.randn(SHAPE)).to_bytes(), *shape) is None


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=400))
def test_anything_else_is_a_miss(data: bytes) -> None:
    """Whatever lies in a store under the name is a miss, and never an error."""
    assert KeyVectors.from_bytes(data, *SHAPE) is None


def test_scales_that_are_no_numbers_are_a_miss() -> None:
    """Forged scales cannot bring NaN into scores."""
    kept = quantize(torch.randn(SHAPE))
    forged = KeyVectors(kept.codes, torch.full_like(kept.scales, torch.nan))
    assert KeyVectors.from_bytes(forged.to_bytes(), *SHAPE) is None


def test_runs_are_joined() -> None:
    """The tokens of two runs follow one another."""
    whole = quantize(torch.randn(SHAPE))
    parts = [KeyVectors(whole.codes[a:b], whole.scales[a:b]) for a, b in ((0, 3), (3, 7))]
    assert torch.equal(joined(parts).codes, whole.codes)
    assert len(joined(parts)) == 7
