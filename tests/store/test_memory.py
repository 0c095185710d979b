"""Entries in memory are bounded in bytes, and every byte that they keep alive is counted."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

from attnmass.capture import KeyValues
from attnmass.options.cache import CacheOptions
from attnmass.store import ChunkCache
from attnmass.store.formats import held_bytes, pack
from attnmass.store.memory import MemoryTier
from tests.store.entries import DIMS, HEADS, LAYERS, make_entry, make_key

SIZE = (2 * LAYERS - 1) * HEADS * 5 * DIMS * 4 + 5 * 8  # five tokens in float32, with positions


def stored(limit: int | None, *numbers: int) -> MemoryTier[KeyValues]:
    """A store into which entries of `SIZE` were put one after the other."""
    store = MemoryTier(limit, held_bytes)
    for number in numbers:
        store.put(make_key(number), make_entry(seed=number))
    return store


def kept(store: MemoryTier[KeyValues]) -> list[int]:
    """Which of the first ten entries are there."""
    return [number for number in range(10) if make_key(number) in store]


def test_least_recently_used_goes_first() -> None:
    """What was put or got last stays; what was not used for longest goes."""
    store = stored(3 * SIZE, 0, 1, 2)
    assert store.get(make_key(0)) is not None
    store.put(make_key(3), make_entry(seed=3))
    assert kept(store) == [0, 2, 3]
    store.put(make_key(4), make_entry(seed=4))
    assert kept(store) == [0, 3, 4]
    assert store.evictions == 2


def test_bytes_are_those_of_the_storages() -> None:
    """The count is the sum over all storages that are alive, after puts and evictions alike."""
    store = stored(3 * SIZE, *range(7))
    assert len(store) == 3
    alive = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for entry in store.values()
        for tensor in (*entry.keys, *entry.values, entry.positions)
    }
    assert store.bytes == sum(alive.values()) == 3 * SIZE


def test_slices_of_a_batch_are_packed() -> None:
    """An entry cut out of a batch keeps none of the batch alive, and costs its own size."""
    batch = make_entry(50)
    cut = KeyValues(
        tuple(key[:, :5] for key in batch.keys),
        tuple(value[:, :5] for value in batch.values),
        batch.positions[:5],
    )
    assert held_bytes(cut) > 9 * SIZE
    packed = pack(cut, None)
    assert held_bytes(packed) == SIZE
    assert all(torch.equal(a, b) for a, b in zip(packed.keys, cut.keys, strict=True))
    gone = weakref.ref(batch.keys[0].untyped_storage())
    del batch, cut
    gc.collect()
    assert gone() is None


def test_what_is_compact_is_not_copied() -> None:
    """An entry that owns its memory already is taken as it is."""
    entry = make_entry()
    assert pack(entry, None).keys[0] is entry.keys[0]


def test_too_large_by_itself_evicts_nothing() -> None:
    """An entry that could never fit is not kept, and the others stay."""
    store = stored(2 * SIZE, 0, 1)
    store.put(make_key(2), make_entry(50))
    assert kept(store) == [0, 1]
    assert store.evictions == 0


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (SIZE - 1, 0), (SIZE, 1), (None, 9)])
def test_bounds(limit: int | None, count: int) -> None:
    """0 keeps nothing, `None` everything, and a bound is never exceeded by a byte."""
    store = stored(limit, *range(9))
    assert len(store) == count
    assert store.bytes == count * SIZE


def test_the_same_key_again_changes_nothing() -> None:
    """An entry that is there is not counted twice."""
    store = stored(None, 0, 0)
    assert store.bytes == SIZE


def test_moving_keeps_order_and_count() -> None:
    """Entries that go to another device are the same ones, to be evicted in the same order."""
    cache = ChunkCache(CacheOptions(memory_bytes=2 * SIZE))
    cache.put({make_key(number): make_entry(seed=number) for number in range(2)})
    before: Any = cache.memory.get(make_key(0))
    assert not cache.is_off(torch.device("cpu"))
    assert cache.is_off(torch.device("cuda"))
    cache.move(torch.device("cpu"))
    after: Any = cache.memory.get(make_key(0))
    assert after is not before
    assert torch.equal(after.keys[1], before.keys[1])
    assert cache.memory.bytes == 2 * SIZE
    cache.put({make_key(2): make_entry(seed=2)})
    assert kept(cache.memory) == [0, 2]
