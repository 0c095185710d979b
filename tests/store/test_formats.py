"""Smaller formats are smaller, close to what they stand for, and decoded where they are used."""

from __future__ import annotations

import pytest
import torch

from attnmass.capture.states import joined
from attnmass.store.formats import Quantized, from_tensors, held_bytes, pack, to_tensors
from tests.store.entries import LAYERS, make_entry, same


def decoded(entry: object, kind: str, layer: int) -> torch.Tensor:
    """What a pass would read of a packed entry, `[kv_head, token, dim]`."""
    like = torch.empty(1, 2, 1, 8)
    return joined([entry], like, layer, kind, append=False)[0]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("store_format", "least", "error"),
    [(None, 1.0, 0.0), ("bfloat16", 1.9, 2**-8), ("float16", 1.9, 2**-11), ("int8", 3.3, 0.011)],
)
def test_size_and_error(store_format: str | None, least: float, error: float) -> None:
    """Each format is so many times smaller than float32, and so close to the largest numbers."""
    entry = make_entry(40)
    packed = pack(entry, store_format)
    assert held_bytes(entry) / held_bytes(packed) >= least
    for kind, layers in (("keys", LAYERS), ("values", LAYERS - 1)):
        for layer in range(layers):
            expected = getattr(entry, kind)[layer]
            gap = (decoded(packed, kind, layer) - expected).abs().max()
            assert gap <= error * expected.abs().max()


@pytest.mark.parametrize("store_format", [None, "bfloat16", "float16", "int8"])
def test_tensors_and_back(store_format: str | None) -> None:
    """An entry is what its tensors say, whatever its format."""
    packed = pack(make_entry(), store_format)
    again = from_tensors(to_tensors(packed))
    assert type(again) is type(packed)
    assert same(to_tensors(again), to_tensors(packed))


def test_an_outlying_channel_costs_the_others_nothing() -> None:
    """Keys are scaled by channel: where one is a thousand times larger, the others stay exact."""
    entry = make_entry(40)
    entry.keys[0][..., 3] *= 1000
    gap = (decoded(pack(entry, "int8"), "keys", 0) - entry.keys[0]).abs()
    assert gap[..., :3].max() < 0.02


def test_zeros_and_large_numbers() -> None:
    """Rows of zeros stay zeros, and what half precision cannot hold stays finite."""
    entry = make_entry()
    entry.keys[0].zero_()
    entry.values[0].fill_(1e6)
    assert float(decoded(pack(entry, "int8"), "keys", 0).abs().max()) == 0
    assert float(decoded(pack(entry, "int8"), "values", 0).max()) == pytest.approx(1e6, rel=5e-3)
    assert float(decoded(pack(entry, "float16"), "values", 0).max()) == 65504


def test_int8_moves_with_its_scales() -> None:
    """An entry that goes to another device takes its scales with it."""
    moved = pack(make_entry(), "int8").to(torch.device("meta"))
    assert isinstance(moved, Quantized)
    assert all(scale.is_meta for scale in (*moved.key_scales, *moved.value_scales))


@pytest.mark.parametrize("store_format", [None, "bfloat16", "int8"])
def test_entries_of_several_formats_join(store_format: str | None) -> None:
    """A pass puts entries of any format before its own tokens, for every row of its batch."""
    past = [make_entry(4, seed=1), pack(make_entry(3, seed=2), store_format)]
    new = torch.randn(2, 2, 6, 8)
    found = joined(past, new, 1, "values", append=True)
    assert found.shape == (2, 2, 13, 8)
    for row in range(2):
        assert torch.equal(found[row, :, :4], past[0].values[1])
        assert torch.equal(found[row, :, 4:7], decoded(past[1], "values", 1))
        assert torch.equal(found[row, :, 7:], new[row])
