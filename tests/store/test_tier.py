"""Values in memory: bounded to the byte, the least recently used go first, and all is counted."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass.store.memory import MemoryTier


@given(
    limit=st.none() | st.integers(0, 30),
    steps=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12), st.booleans())),
)
def test_like_the_slow_way(limit: int | None, steps: list[tuple[int, int, bool]]) -> None:
    """What is held, its bytes, the order and the counts are those of a list that is searched."""
    tier: MemoryTier[bytes] = MemoryTier(limit, len)
    slow: OrderedDict[str, bytes] = OrderedDict()
    hits = misses = evictions = 0
    for number, size, is_put in steps:
        key, value = str(number), bytes(size)
        if is_put:
            tier.put(key, value)
            if key not in slow and (limit is None or size <= limit):
                slow[key] = value
                while limit is not None and sum(map(len, slow.values())) > limit:
                    slow.popitem(last=False)
                    evictions += 1
        else:
            assert tier.get(key) == slow.get(key)
            hits += key in slow
            misses += key not in slow
            if key in slow:
                slow.move_to_end(key)
        assert tier.values() == list(slow.values())
        assert tier.bytes == sum(map(len, slow.values()))
        assert (len(tier), key in tier) == (len(slow), key in slow)
    assert (tier.hits, tier.misses, tier.evictions) == (hits, misses, evictions)


def test_peeking_counts_as_nothing() -> None:
    """A look changes neither the counts nor what goes first."""
    tier: MemoryTier[bytes] = MemoryTier(2, len)
    tier.put("a", b"1")
    tier.put("b", b"2")
    assert (tier.peek("a"), tier.peek("c")) == (b"1", None)
    tier.put("c", b"3")
    assert "a" not in tier
    assert (tier.hits, tier.misses) == (0, 0)


def test_values_that_are_converted_are_counted_anew() -> None:
    """Values that became larger drive out the oldest; keys and order stay."""
    tier: MemoryTier[bytes] = MemoryTier(10, len)
    for key in "abcd":
        tier.put(key, key.encode())
    tier.convert(lambda value: value * 3)
    assert tier.values() == [b"bbb", b"ccc", b"ddd"]
    assert (tier.bytes, tier.evictions) == (9, 1)
    tier.clear()
    assert (tier.bytes, len(tier), tier.evictions) == (0, 0, 1)


def test_a_conversion_that_fails_leaves_all_as_it_was() -> None:
    """Where a value cannot be converted, those before it are, and the count is right."""
    tier: MemoryTier[bytes] = MemoryTier(None, len)
    tier.put("a", b"1")
    tier.put("b", b"")

    def change(value: bytes) -> bytes:
        if not value:
            raise MemoryError
        return value * 2

    with pytest.raises(MemoryError):
        tier.convert(change)
    assert tier.values() == [b"11", b""]
    assert tier.bytes == 2


def test_threads_share_a_tier() -> None:
    """Many threads at once leave a tier whose count is that of what it holds."""
    tier: MemoryTier[bytes] = MemoryTier(50, len)

    def work(seed: int) -> None:
        for number in range(2000):
            key = str((number * seed) % 23)
            found = tier.get(key)
            assert found is None or found == key.encode()
            tier.put(key, key.encode())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tier.bytes == sum(map(len, tier.values())) <= 50
    assert tier.hits + tier.misses == 5 * 2000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_child_finds_no_lock_that_nobody_gives_back() -> None:
    """A fork waits for whoever changes a tier, so a child can use it."""
    tier: MemoryTier[bytes] = MemoryTier(None, len)
    tier.put("a", b"1")
    inside, go = threading.Event(), threading.Event()

    def change(value: bytes) -> bytes:
        inside.set()
        go.wait(0.3)
        return value * 2

    thread = threading.Thread(target=tier.convert, args=(change,))
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if tier.get("a") == b"11" else 1)
    go.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
