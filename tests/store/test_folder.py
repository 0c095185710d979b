"""Entries in a folder survive the process, and a damaged one is a miss."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import save_file

from attnmass.store.folder import FolderStore
from attnmass.store.formats import pack, to_tensors
from tests.store.entries import make_entry, make_key, same

KEY = make_key(0)
SIZE = 4096  # more than any entry here takes on the disk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "chunks"


def write(folder: Path, number: int = 0, n_tokens: int = 5, limit: int | None = None) -> Path:
    """Write one entry, and say where it is."""
    entry = pack(make_entry(n_tokens, seed=number), None)
    FolderStore(folder, limit).write(make_key(number), to_tensors(entry))
    return folder / f"{make_key(number)}.safetensors"


def kept(folder: Path) -> list[int]:
    """Which of the first ten entries are there."""
    return [n for n in range(10) if (folder / f"{make_key(n)}.safetensors").exists()]


@pytest.mark.parametrize("cache_format", [None, "float16", "bfloat16", "int8"])
def test_another_store_reads_what_was_written(folder: Path, cache_format: str | None) -> None:
    """Entries of every format come back bit by bit."""
    tensors = to_tensors(pack(make_entry(), cache_format))
    FolderStore(folder, None).write(KEY, tensors)
    store = FolderStore(folder, None)
    assert same(store.read(KEY), tensors)
    assert store.touch(KEY)
    assert store.bytes == sum(path.stat().st_size for path in folder.iterdir())


def test_what_is_not_there_is_a_miss(folder: Path) -> None:
    """Nothing is made, and nothing fails, where nothing was written."""
    store = FolderStore(folder, None)
    assert store.read(KEY) is None
    assert not store.touch(KEY)
    assert store.bytes == 0
    assert not folder.exists()


def flip(path: Path, place: int) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


def foreign(path: Path) -> None:
    """A file of the same format that somebody else wrote."""
    save_file(to_tensors(make_entry()), path)


def of_another_key(path: Path) -> None:
    """A whole entry under a name that is not its own."""
    shutil.copy(write(path.parent / "other", 1), path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no tensors at all, but text"),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        lambda path: flip(path, -1),
        lambda path: flip(path, -500),
        lambda path: flip(path, 40),
        lambda path: flip(path, 3),
        foreign,
        of_another_key,
    ],
    ids=[
        "empty",
        "text",
        "a byte short",
        "cut off",
        "a byte long",
        "last bit",
        "a bit inside",
        "a bit of the header",
        "a bit of its length",
        "foreign",
        "another key",
    ],
)
def test_damaged_is_a_miss_and_is_removed(
    folder: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    """An entry that is not what was written is not used, is removed, and can be written anew."""
    path = write(folder)
    damage(path)  # type: ignore[operator]
    store = FolderStore(folder, None)
    with caplog.at_level(logging.WARNING):
        assert store.read(KEY) is None
    assert "damaged" in caplog.text
    assert not path.exists()
    write(folder)
    assert store.read(KEY) is not None


def test_every_bit_of_an_entry_counts(folder: Path) -> None:
    """Wherever a bit flips, the entry is a miss or exactly what it was."""
    tensors = to_tensors(make_entry(1))
    store = FolderStore(folder, None)
    store.write(KEY, tensors)
    path = folder / f"{KEY}.safetensors"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole)
        flip(path, place)
        found = store.read(KEY)
        assert found is None or same(found, tensors)


def test_least_recently_used_goes_first(folder: Path) -> None:
    """The folder stays within its bound; entries that were read last stay."""
    size = write(folder).stat().st_size
    limit = 4 * size
    for number in range(1, 4):
        path = write(folder, number, limit=limit)
        os.utime(path, (number, number))
    os.utime(folder / f"{KEY}.safetensors", (0, 0))
    store = FolderStore(folder, limit)
    assert store.read(KEY) is not None
    store.write(make_key(4), to_tensors(make_entry(seed=4)))
    assert kept(folder) == [0, 2, 3, 4]
    assert store.evictions == 1
    assert store.bytes <= limit


def test_the_bound_holds_over_many_writes(folder: Path) -> None:
    """However much is written, the files never take more than was said."""
    limit = 5 * SIZE
    store = FolderStore(folder, limit)
    for number in range(40):
        store.write(make_key(number), to_tensors(make_entry(5 + number % 3, seed=number)))
        assert store.bytes <= limit
    assert store.evictions > 20


def test_too_large_by_itself_evicts_nothing(folder: Path) -> None:
    """An entry that could never fit is not written, and the others stay."""
    write(folder)
    write(folder, 1, n_tokens=500, limit=SIZE)
    assert kept(folder) == [0]


def test_files_of_others_are_left_alone(folder: Path) -> None:
    """Only entries are counted and evicted, whatever else is in the folder."""
    folder.mkdir()
    for name in ("notes.txt", "model.safetensors", ".hidden.tmp"):
        (folder / name).write_bytes(b"x" * 100_000)
    (folder / "sub").mkdir()
    store = FolderStore(folder, 2 * SIZE)
    for number in range(5):
        store.write(make_key(number), to_tensors(make_entry(seed=number)))
    assert {"notes.txt", "model.safetensors", ".hidden.tmp", "sub"} <= {
        path.name for path in folder.iterdir()
    }
    assert store.bytes <= 2 * SIZE


def test_abandoned_files_are_removed_later(folder: Path) -> None:
    """What a killed process left half written goes once nobody can be writing it any more."""
    folder.mkdir()
    old, new = folder / f".{1:032x}.tmp", folder / f".{2:032x}.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    write(folder)
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_cannot_be_used_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing can be written nothing fails, and thousands of entries make one warning."""
    (tmp_path / "file").touch()
    store = FolderStore(tmp_path / "file" / "chunks", None)
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            store.write(make_key(number), to_tensors(make_entry()))
            assert store.read(make_key(number)) is None
            assert not store.touch(make_key(number))
    assert len(caplog.records) == 1
    assert store.bytes == 0


def test_a_full_disk_leaves_nothing_behind(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails half way is undone and logged."""

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with caplog.at_level(logging.WARNING):
        write(folder)
    assert list(folder.iterdir()) == []
    assert "No space left" in caplog.text


_DIES = """
import os, signal, sys
from pathlib import Path
from attnmass.store.folder import FolderStore
from attnmass.store.formats import to_tensors
from tests.store.entries import make_entry, make_key

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

store = FolderStore(Path(sys.argv[1]), None)
store.write(make_key(0), to_tensors(make_entry()))
if sys.argv[2] == "before the rename":
    Path.replace = die
else:
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel ends the process within a write
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
store.write(make_key(1), to_tensors(make_entry(seed=1)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals that kill")
@pytest.mark.parametrize("when", ["before the rename", "within the write"])
def test_a_process_that_is_killed_while_writing(folder: Path, when: str) -> None:
    """A kill leaves what was written before and one stray file, but never half an entry."""
    done = subprocess.run([sys.executable, "-c", _DIES, str(folder), when], capture_output=True)
    assert done.returncode in (-signal.SIGKILL, -signal.SIGXFSZ)
    assert kept(folder) == [0]
    (stray,) = [path for path in folder.iterdir() if path.suffix == ".tmp"]
    if when == "within the write":
        assert stray.stat().st_size == 1000
    store = FolderStore(folder, None)
    assert same(store.read(make_key(0)), to_tensors(make_entry()))
    assert store.read(make_key(1)) is None
    store.write(make_key(1), to_tensors(make_entry(seed=1)))
    assert store.read(make_key(1)) is not None
    os.utime(stray, (0, 0))
    write(folder, 2)
    assert not stray.exists()


_SHARES = """
import sys, torch
from pathlib import Path
from attnmass.store.folder import FolderStore
from attnmass.store.formats import to_tensors
from tests.store.entries import make_entry, make_key, same

torch.set_num_threads(1)
store = FolderStore(Path(sys.argv[1]), int(sys.argv[2]))
for turn in range(3):
    for number in range(20):
        tensors = to_tensors(make_entry(5, seed=number))
        found = store.read(make_key(number))
        assert found is None or same(found, tensors)
        if found is None:
            store.write(make_key(number), tensors)
"""


def test_processes_share_a_folder(folder: Path) -> None:
    """Two that write, read and evict the same entries at once see whole ones, and no error."""
    limit = 10 * SIZE
    command = [sys.executable, "-c", _SHARES, str(folder), str(limit)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    told = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert told == [b"", b""]
    assert 0 < FolderStore(folder, None).bytes <= limit * 18 / 16
    assert all(path.suffix == ".safetensors" for path in folder.iterdir())
