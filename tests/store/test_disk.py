"""Values on disk come back as they were written or not at all, within a bound."""

from __future__ import annotations

import copy
import os
import pickle
import random
import shutil
import socket
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass.store import statements, uses
from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.store.entry import Entry, StoreStats
from attnmass.store.tables import APPLICATION, PAGE_BYTES

SIZE = 3 * PAGE_BYTES
MANY = 64 * PAGE_BYTES  # a bound that some ten values fit into


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "kept"


def value(number: int, size: int = SIZE) -> bytes:
    """The value of a number; each is another, at every byte."""
    return random.Random(number).randbytes(size)


def key(number: int) -> str:
    """A key as callers make them."""
    return f"{number:064x}"


def items(numbers: Iterable[int], size: int = SIZE) -> dict[str, Entry]:
    """What to write for numbers."""
    return {key(n): Entry(value(n, size), tokens=n) for n in numbers}


def write(store: DiskStore, *numbers: int, size: int = SIZE) -> None:
    """Write values one after the other."""
    for number in numbers:
        store.write(items([number], size))


def kept(folder: Path, count: int = 100) -> list[int]:
    """Which numbers have a value, seen from another store that leaves no trace."""
    file = sqlite3.connect(folder / FILE_NAME)
    found = {name.decode() for (name,) in file.execute("SELECT key FROM entries")}
    file.close()
    return [n for n in range(count) if key(n) in found]


def disk_bytes(folder: Path) -> int:
    """What all files in a folder take."""
    return sum(path.stat().st_size for path in folder.iterdir())


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


@pytest.mark.parametrize("name", [FILE_NAME, f"{FILE_NAME}-journal", f"{FILE_NAME}-wal"])
@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "device"])
def test_what_is_no_file_is_an_error_at_once(folder: Path, kind: str, name: str) -> None:
    """Under a name that the store needs, what is no file is named, and nothing waits for it."""
    folder.mkdir()
    path = folder / name
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            place = Path.cwd()
            os.chdir(folder)  # a socket's path has to be short
            try:
                bound.bind(name)
            finally:
                os.chdir(place)
    expected = {"fifo": "a FIFO", "socket": "a socket", "folder": "a folder", "device": "a device"}
    with pytest.raises(ValueError, match=f"{name} is not a file but {expected[kind]}"):
        DiskStore(folder, None)


def foreign_database(path: Path) -> None:
    """An SQLite file of another program."""
    file = sqlite3.connect(path)
    file.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB)")
    file.commit()
    file.close()


def newer_version(path: Path) -> None:
    """A store that a later attnmass wrote."""
    write(DiskStore(path.parent, None), 0)
    file = sqlite3.connect(path)
    file.execute("PRAGMA user_version = 2")
    file.commit()
    file.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda path: path.write_bytes(b"no database, but text\n" * 100),
            "not a store of attnmass",
        ),
        (lambda path: path.write_bytes(b"x"), "not a store of attnmass"),
        (foreign_database, "not a store of attnmass"),
        (newer_version, "version 2, and this attnmass reads version 1"),
    ],
    ids=["text", "a byte", "another program's", "another version's"],
)
def test_files_of_others_are_left_alone(folder: Path, make: object, message: str) -> None:
    """A file that is not a store, or not of this version, is an error that names it."""
    folder.mkdir()
    path = folder / FILE_NAME
    make(path)  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message) as caught:
        DiskStore(folder, None)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_a_file_that_another_program_put_there_meanwhile(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A store whose file is replaced goes on without it, says so once, and leaves it alone."""
    store = DiskStore(folder, None)
    write(store, 0)
    other = folder / "other"
    foreign_database(other)
    for replace in (shutil.copyfile, shutil.move):  # in place, then under its name
        replace(other, folder / FILE_NAME)
        before = (folder / FILE_NAME).read_bytes()
        for _ in range(2):
            assert store.read([key(0)]) == {}
            write(store, 1)
        assert (folder / FILE_NAME).read_bytes() == before
    assert len(caplog.records) == 1
    assert "not a store of attnmass" in caplog.text


def test_a_log_of_another_program(folder: Path) -> None:
    """A write-ahead log beside the file is another program's, and would be mapped: refused."""
    write(DiskStore(folder, None), 0)
    (folder / f"{FILE_NAME}-wal").touch()
    with pytest.raises(ValueError, match="write-ahead log"):
        DiskStore(folder, None)


def test_a_journal_mode_that_another_program_left(folder: Path) -> None:
    """A file that was switched to a write-ahead log is switched back."""
    write(DiskStore(folder, None), 0)
    file = sqlite3.connect(folder / FILE_NAME)
    file.execute("PRAGMA journal_mode = WAL")
    file.close()
    store = DiskStore(folder, None)
    assert store.read([key(0)]) == {key(0): value(0)}
    write(store, 1)
    assert {path.name for path in folder.iterdir()} == {FILE_NAME, f"{FILE_NAME}-journal"}


def test_the_old_format_is_left_alone(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder with files of the first version is named once, and they stay beside the store."""
    folder.mkdir()
    old = folder / f"{key(0)}.safetensors"
    old.write_bytes(b"old")
    store = DiskStore(folder, MANY)
    write(store, *range(20))
    assert store.read([key(19)])
    assert old.read_bytes() == b"old"
    assert store.disk_bytes <= MANY
    assert len(caplog.records) == 1
    assert str(folder) in caplog.text


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
