"""Where the store cannot be written or read nothing fails, and it is said once."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.store.entry import Entry
from tests.store.processes import ended, in_another_process
from tests.store.values import check, items, kept, key, value, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")
_HOLDS = """
connection = sqlite3.connect(folder / "store.sqlite3", isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("ready", flush=True)
sys.stdin.read()
time.sleep(60)
"""


@pytest.fixture
def locked(folder: Path) -> Iterator[Path]:
    """A store that a stuck process has locked."""
    DiskStore(folder, None).write(items(range(4)))
    stuck = in_another_process(_HOLDS, folder)
    assert stuck.stdout is not None
    assert stuck.stdout.readline() == b"ready\n"
    yield folder
    stuck.kill()
    ended(stuck)


def test_a_lock_that_is_never_given_back(locked: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store that another process keeps locked is waited for once, and done without after it."""
    started = time.monotonic()
    store = DiskStore(locked, None, 0.3)
    for number in range(50):
        assert store.read([key(number)]) == {}
        assert store.has([key(number)]) == set()
        write(store, number)
    store.close()
    assert 0.2 < time.monotonic() - started < 2
    assert len(caplog.records) == 1
    assert "locked" in caplog.text


def the_one_warning(code: str, folder: Path) -> str:
    """What code that has to succeed says in another process: one line."""
    ended_with, told = ended(in_another_process(code, folder))
    assert ended_with == 0, told
    assert len(told.splitlines()) == 1
    return told


def test_a_full_disk(folder: Path) -> None:
    """What does not fit on the disk is not kept, which is said once; the rest can be read."""
    fills = (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "import logging; logging.basicConfig()\n"
        "store = DiskStore(folder, None)\n"
        "for number in range(30):\n"
        "    write(store, number)\n"
        "there = check(store)\n"
        "assert 5 < there < 15, there\n"
    )
    assert "cannot be used" in the_one_warning(fills, folder)
    store = DiskStore(folder, None)
    assert check(store) > 5
    write(store, 29)
    assert store.read([key(29)])


def test_a_folder_that_can_only_be_read(folder: Path) -> None:
    """Values in a folder of others are read; what cannot be written there is said once."""
    open_folder = Path(tempfile.mkdtemp())  # where any user may look
    try:
        DiskStore(open_folder, None).write(items(range(4)))
        for path in (open_folder, *open_folder.iterdir()):
            path.chmod(0o555 if path.is_dir() else 0o444)
        reads = (
            "import logging; logging.basicConfig()\n"
            "if os.geteuid() == 0: os.setuid(65534)\n"
            "store = DiskStore(folder, None)\n"
            "assert check(store) == 4\n"
            "for number in range(3): write(store, number)\n"
            "assert check(store) == 4\n"
            "store.close()\n"
        )
        assert "readonly" in the_one_warning(reads, open_folder)
    finally:
        open_folder.chmod(0o700)
        shutil.rmtree(open_folder)


def test_a_folder_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing can be written nothing fails, and thousands of values make one warning."""
    (tmp_path / "file").touch()
    store = DiskStore(tmp_path / "file" / "kept", None)
    for number in range(3):
        write(store, number)
        assert store.read([key(number)]) == {}
        assert store.has([key(number)]) == set()
    assert len(caplog.records) == 1
    assert store.disk_bytes == 0


def test_a_folder_that_vanishes(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store whose folder is removed is empty, says so once, and the next write makes it anew."""
    store = DiskStore(folder, None)
    write(store, 0)
    shutil.rmtree(folder)
    for _ in range(2):
        assert store.read([key(0)]) == {}
    write(store, 1)
    assert len(caplog.records) == 1
    assert "was removed" in caplog.text
    assert kept(folder) == [1]
    assert store.read([key(0), key(1)]) == {key(1): value(1)}


def test_nothing_is_mapped(folder: Path) -> None:
    """No file of the store is in the memory map of a process that reads and writes it."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc")
    store = DiskStore(folder, None)
    store.write({key(n): Entry(value(n)) for n in range(20)})
    check(store)
    assert FILE_NAME not in maps.read_text()
