"""All files stay within the bound, and what was used longest ago goes first."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass.store import statements, uses
from attnmass.store.disk import DiskStore
from attnmass.store.entry import Entry
from attnmass.store.tables import PAGE_BYTES
from tests.store.values import MANY, disk_bytes, items, kept, key, value, write


def test_least_recently_used_goes_first(folder: Path) -> None:
    """What was written or read last stays, asked for or read, in this store or another."""
    store = DiskStore(folder, MANY)
    write(store, *range(30))
    first = kept(folder)
    assert first == list(range(first[0], 30))
    oldest, second, third = first[:3]
    assert store.read([key(oldest)])
    other = DiskStore(folder, MANY)
    assert other.has([key(third)])
    other.close()
    write(store, 40, 41)
    assert oldest in kept(folder)
    assert third in kept(folder)
    assert second not in kept(folder)
    assert store.evictions == first[0] + 2


def test_uses_are_noted_without_anything_to_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that only reads keeps what it reads from being the oldest, a write a minute."""
    writer, reader = DiskStore(folder, MANY), DiskStore(folder, MANY)
    write(writer, *range(12))
    reader.read([key(0)])
    monkeypatch.setattr(uses, "_USES_EVERY", 0.0)
    reader.read([key(1)])
    write(writer, *range(20, 30))
    assert {0, 1} <= set(kept(folder))
    assert not {2, 3} & set(kept(folder))


def test_a_clock_that_is_late_changes_no_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is used is younger than all that was used before, whatever the clock says."""
    store = DiskStore(folder, MANY)
    write(store, *range(6))
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    write(store, *range(6, 30))
    assert kept(folder) == list(range(store.evictions, 30))


@pytest.mark.parametrize("size", [10, 1000, PAGE_BYTES, 5 * PAGE_BYTES + 17])
def test_files_never_exceed_the_bound(folder: Path, size: int) -> None:
    """After every write all files together are within the bound, and it is made use of."""
    limit = 50 * PAGE_BYTES + 100
    store = DiskStore(folder, limit)
    number = 0
    while store.evictions < 300:
        store.write(items(range(number, number + 20), size))
        number += 20
        assert disk_bytes(folder) <= limit
    found = store.stats()
    assert found.entries == number - store.evictions
    assert found.value_bytes + 200 * found.entries > 0.5 * limit
    assert kept(folder, number)[-1] == number - 1


@settings(max_examples=60, deadline=None)
@given(
    bound=st.integers(0, 80 * PAGE_BYTES),
    steps=st.lists(
        st.lists(
            st.tuples(st.integers(0, 12), st.integers(0, 6 * PAGE_BYTES)), min_size=1, max_size=5
        ),
        max_size=12,
    ),
)
def test_like_a_dict_with_gaps(
    tmp_path_factory: pytest.TempPathFactory, bound: int, steps: list[list[tuple[int, int]]]
) -> None:
    """Whatever is written, a read gives the last value of a key or nothing, within the bound."""
    folder = tmp_path_factory.mktemp("kept")
    store = DiskStore(folder, bound)
    expected: dict[str, bytes] = {}
    for step in steps:
        given = {key(n): Entry(value(n + size, size)) for n, size in step}
        expected |= {name: entry.data for name, entry in given.items()}
        store.write(given)
        assert disk_bytes(folder) <= bound
        found = store.read(list(expected))
        # A value that is too large is not kept, and what was there under its key may stay.
        large = {
            name
            for name, data in expected.items()
            if statements.fewest_pages(len(data)) > (bound // PAGE_BYTES)
        }
        for name, data in found.items():
            assert name in large or data == expected[name]
    store.close()


def work_to_evict(folder: Path, count: int) -> float:
    """What a write into a full store of so many values costs, in hundreds of SQLite's steps."""
    store = DiskStore(folder, count * PAGE_BYTES)
    store.write(items(range(count + 100), PAGE_BYTES // 2))
    store.write(items(range(count + 100, 2 * count), PAGE_BYTES // 2))
    before, ticks = store.evictions, 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    connection = store._database._connection
    assert connection is not None
    connection.set_progress_handler(tick, 100)
    store.write(items(range(2 * count, 2 * count + 40), PAGE_BYTES // 2))
    assert store.evictions - before >= 20
    return ticks


def test_eviction_reads_no_list(folder: Path) -> None:
    """To find the oldest of thousands of values takes no more work than of hundreds."""
    few, many = work_to_evict(folder / "few", 200), work_to_evict(folder / "many", 4000)
    assert 0 < many < 1.5 * few + 2


def test_too_large_by_itself_evicts_nothing(folder: Path) -> None:
    """A value that could never fit is not written, and the others stay."""
    store = DiskStore(folder, MANY)
    write(store, 0, 1)
    write(store, 2, size=MANY - 10 * PAGE_BYTES)
    assert kept(folder) == [0, 1]
    assert store.evictions == 0
    tiny = DiskStore(folder.with_name("tiny"), 1)
    write(tiny, 0, size=1)
    assert not tiny.folder.exists()


def test_a_bound_that_was_lowered(folder: Path) -> None:
    """The file becomes smaller with the next write, and the youngest values stay."""
    store = DiskStore(folder, None)
    write(store, *range(40))
    smaller = DiskStore(folder, MANY)
    write(smaller, 40)
    assert disk_bytes(folder) <= MANY
    found = kept(folder)
    assert found == list(range(found[0], 41))
    assert len(found) > 8
    assert smaller.read([key(n) for n in found]) == {key(n): value(n) for n in found}
