"""Values on disk come back as they were written or not at all."""

from __future__ import annotations

import copy
import os
import pickle
import random
import shutil
import stat
import threading
import time
from pathlib import Path

import pytest

from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.store.entry import Entry, StoreStats
from attnmass.store.tables import APPLICATION
from tests.store.values import MANY, SIZE, disk_bytes, items, kept, key, value, write


def test_another_store_reads_what_was_written(folder: Path) -> None:
    """Values come back byte by byte; keys that are not there do not."""
    DiskStore(folder, None).write(items(range(700), 100))
    store = DiskStore(folder, None)
    found = store.read([key(n) for n in range(650, 750)])
    assert found == {key(n): value(n, 100) for n in range(650, 700)}
    assert store.has([key(699), key(700)]) == {key(699)}
    assert (store.hits, store.misses) == (50, 50)
    assert store.disk_bytes == disk_bytes(folder)


def test_what_was_never_written_is_a_miss(folder: Path) -> None:
    """Nothing is made, and nothing fails, where nothing was written."""
    store = DiskStore(folder, None)
    assert store.read([key(0)]) == {}
    assert store.has([key(0)]) == set()
    store.write({})
    store.clear()
    assert store.stats() == StoreStats(0, 0, 0, 0, None, 1, 0, 1, 0)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["", "\0", "a" * 10_000, "\ud800", "' OR 1=1 --", "ä\u202e"])
def test_any_string_is_a_key(folder: Path, name: str) -> None:
    """Keys are compared, and nothing else."""
    store = DiskStore(folder, None)
    store.write({name: Entry(b"one"), "other": Entry(b"")})
    assert store.read([name, "other"]) == {name: b"one", "other": b""}


def test_a_value_is_replaced(folder: Path) -> None:
    """What is written last under a key is what is read."""
    store = DiskStore(folder, None)
    write(store, 0, 1)
    store.write({key(0): Entry(b"new", tokens=7)})
    assert store.read([key(0), key(1)]) == {key(0): b"new", key(1): value(1)}
    assert (store.stats().entries, store.stats().tokens) == (2, 8)


def test_stats(folder: Path) -> None:
    """What is held is counted whoever wrote it; hits, misses and evictions are one's own."""
    before = time.time()
    write(DiskStore(folder, None), 1, 2, 3)
    store = DiskStore(folder, None)
    store.read([key(1), key(9)])
    found = store.stats()
    assert (found.entries, found.tokens, found.value_bytes) == (3, 6, 3 * SIZE)
    assert (found.hits, found.misses, found.evictions) == (1, 1, 0)
    assert found.disk_bytes == disk_bytes(folder) > 3 * SIZE
    assert found.last_used is not None
    assert before <= found.last_used <= time.time()


def test_clear(folder: Path) -> None:
    """Nothing is left of what was written, and the store can be used on by all that have it."""
    store, other = DiskStore(folder, None), DiskStore(folder, None)
    write(store, 0, 1)
    assert other.read([key(0)])
    store.clear()
    assert store.disk_bytes == 0
    assert other.read([key(0)]) == {}
    write(other, 2)
    assert store.read([key(0), key(2)]) == {key(2): value(2)}


def test_only_the_owner_can_read(folder: Path) -> None:
    """The folder, the file and its journal are for the owner only, whatever the umask."""
    before = os.umask(0)
    try:
        write(DiskStore(folder / "deep", None), 0)
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "deep").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "deep").iterdir()}
    assert modes == {FILE_NAME: 0o600, f"{FILE_NAME}-journal": 0o600}


def test_copies_open_the_file_again(folder: Path) -> None:
    """A store that is copied, or pickled, reads and writes as the first does."""
    store = DiskStore(folder, MANY)
    write(store, 0)
    for again in (copy.copy(store), copy.deepcopy(store), pickle.loads(pickle.dumps(store))):
        assert again.read([key(0)]) == {key(0): value(0)}
        write(again, *range(20))
        assert disk_bytes(folder) <= MANY
        write(store, 0)


def test_threads_share_a_store(folder: Path) -> None:
    """Threads that read, write and evict at once see whole values and no error."""
    stores = [DiskStore(folder, MANY), DiskStore(folder, MANY)]
    wrong: list[object] = []

    def work(seed: int) -> None:
        numbers = random.Random(seed)
        store = stores[seed % 2]
        try:
            for _ in range(30):
                some = [numbers.randrange(25) for _ in range(3)]
                found = store.read([key(n) for n in some])
                wrong.extend(n for n in some if found.get(key(n), value(n)) != value(n))
                store.write(items(some))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert stores[0].hits > 0
    assert disk_bytes(folder) <= MANY


def test_the_mark_in_the_header(folder: Path) -> None:
    """Other programs (file, a backup) can tell whose the file is."""
    write(DiskStore(folder, None), 0)
    assert (folder / FILE_NAME).read_bytes()[68:72] == APPLICATION.to_bytes(4, "big")


def test_a_relative_folder_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store does not follow the process into another working directory."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "first")
    store = DiskStore(Path("kept"), None)
    write(store, 1)
    monkeypatch.chdir(tmp_path / "second")
    write(store, 2)
    assert store.read([key(1)]) == {key(1): value(1)}
    store.close()
    copy.copy(store).close()
    assert list((tmp_path / "second").iterdir()) == []
    assert kept(tmp_path / "first" / "kept") == [1, 2]


def test_a_folder_that_was_removed_stays_away(folder: Path) -> None:
    """What was read last is not noted in a file that is gone; only a value makes it anew."""
    store = DiskStore(folder, None)
    store.write(items(range(3)))
    assert len(store.read([key(n) for n in range(3)])) == 3
    shutil.rmtree(folder)
    store.close()
    assert not folder.exists()
