"""Whatever happens to the file or to processes, a value is what was written or a miss."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.store.entry import Entry
from attnmass.store.tables import APPLICATION, PAGE_BYTES, NotOursError
from tests.store.test_disk import MANY, disk_bytes, items, kept, key, value, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")

ROUNDS = int(os.environ.get("STORE_ROUNDS", "300"))  # of the slow tests


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "kept"


def check(store: DiskStore, count: int = 30) -> int:
    """Make sure that each value is right or a miss; how many were there."""
    found = store.read([key(n) for n in range(count)])
    for number in range(count):
        assert found.get(key(number), value(number)) == value(number)
    return len(found)


def in_another_process(code: str, *args: object) -> subprocess.Popen[bytes]:
    """Run Python that knows the helpers of these tests."""
    head = (
        "import os, sys, random, resource, signal, sqlite3, time\n"
        "from pathlib import Path\n"
        "from attnmass.store.disk import DiskStore\n"
        "from attnmass.store.entry import Entry\n"
        "from tests.store.test_disk import MANY, items, key, value, write\n"
        "from tests.store.test_faults import check\n"
        "folder = Path(sys.argv[1])\n"
    )
    command = [sys.executable, "-c", head + code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """How a process ended, and what it said on stderr."""
    _, told = process.communicate(timeout=60)
    return process.returncode, told.decode()


_WRITES = """
numbers = random.Random(int(sys.argv[2]))
store = DiskStore(folder, MANY)
print("ready", flush=True)
while True:
    store.write(items(numbers.sample(range(30), 3)))
    check(store)
"""


def killed_writers(folder: Path, seconds: float, seed: int) -> None:
    """Let three processes write, read and evict, and kill each at a moment of its own."""
    moments = random.Random(seed)
    writers = [in_another_process(_WRITES, folder, seed + n) for n in range(3)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        time.sleep(moments.uniform(0, seconds))
        writer.kill()
    told = [ended(writer) for writer in writers]
    assert told == [(-signal.SIGKILL, "")] * 3


def test_processes_that_are_killed_while_writing(folder: Path) -> None:
    """After kills at any moment every value is whole or a miss, and the store works on."""
    for seed in range(2):
        killed_writers(folder, 0.2, 10 * seed)
        store = DiskStore(folder, MANY)
        check(store)
        write(store, 100)
        assert disk_bytes(folder) <= MANY
        assert store.read([key(100)]) == {key(100): value(100)}
        file = sqlite3.connect(folder / FILE_NAME)
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        file.close()


@pytest.mark.slow
def test_many_processes_that_are_killed(folder: Path) -> None:
    """The same, so often that kills hit every part of a write; `STORE_ROUNDS` says how often."""
    for seed in range(max(1, ROUNDS // 20)):
        killed_writers(folder, 0.1, 10 * seed)
        check(DiskStore(folder, MANY))
    store = DiskStore(folder, MANY)
    write(store, 100)
    assert disk_bytes(folder) <= MANY
    assert store.read([key(100)])


def test_a_journal_that_a_killed_process_left(folder: Path) -> None:
    """A write that was cut off within its commit is undone by whoever comes next."""
    store = DiskStore(folder, None)
    store.write(items(range(8)))
    store.close()
    dies = (
        "store = DiskStore(folder, None)\n"
        "store.read([key(0)])\n"
        "connection = store._database._connection\n"
        "connection.execute('PRAGMA cache_size = 0')\n"  # pages go to the file at once
        "connection.execute('BEGIN')\n"
        "connection.execute('UPDATE data SET value = zeroblob(length(value))')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    before = (folder / FILE_NAME).read_bytes()
    assert ended(in_another_process(dies, folder))[0] == -signal.SIGKILL
    assert (folder / f"{FILE_NAME}-journal").stat().st_size > 0
    assert (folder / FILE_NAME).read_bytes() != before
    store = DiskStore(folder, None)  # held: at its end it notes what was used
    assert check(store) == 8
    assert (folder / FILE_NAME).read_bytes() == before


def flip(path: Path, place: int) -> None:
    """Change a bit of a file."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))


def cut(path: Path, numbers: random.Random) -> None:
    """Cut a file off anywhere."""
    os.truncate(path, numbers.randrange(path.stat().st_size + 1))


def bits(path: Path, numbers: random.Random) -> None:
    """Change a few bits anywhere."""
    for _ in range(numbers.randrange(1, 6)):
        flip(path, numbers.randrange(path.stat().st_size))


def block(path: Path, numbers: random.Random) -> None:
    """Write noise, zeros or another part of the file over a part of it."""
    size = path.stat().st_size
    length = numbers.randrange(1, 3 * PAGE_BYTES)
    content = path.read_bytes()
    start = numbers.randrange(size)
    what = [
        numbers.randbytes(length),
        bytes(length),
        content[start : start + length],
    ][numbers.randrange(3)]
    with path.open("r+b") as file:
        file.seek(numbers.randrange(size))
        file.write(what)


def head(path: Path, numbers: random.Random) -> None:
    """Write noise over a part of the header."""
    with path.open("r+b") as file:
        file.seek(numbers.randrange(100))
        file.write(numbers.randbytes(numbers.randrange(1, 40)))


def swapped(path: Path, numbers: random.Random) -> None:
    """Let two values change their places, as a page of an index that is damaged might."""
    file = sqlite3.connect(path)
    file.execute("UPDATE entries SET id = -1 WHERE id = (SELECT min(id) FROM entries)")
    file.execute("UPDATE entries SET id = 1 WHERE id = 2")
    file.execute("UPDATE entries SET id = 2 WHERE id = -1")
    file.commit()
    file.close()


DAMAGES: list[Callable[[Path, random.Random], None]] = [cut, bits, block, head, swapped]


def damaged_store(folder: Path, damage: Callable[[Path, random.Random], None], seed: int) -> None:
    """Damage a store while one process has it open, then use it from there and anew."""
    numbers = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    store = DiskStore(folder, MANY)
    store.write(items(range(10)))
    store.write(items(range(40, 44), size=500))
    damage(folder / FILE_NAME, numbers)
    for again in (store, None):
        if again is None:
            try:
                again = DiskStore(folder, MANY)
            except NotOursError:  # of whose header nothing says that it is ours
                return
        check(again, 10)
        small = again.read([key(n) for n in range(40, 44)])
        assert all(data == value(n, 500) for n in range(40, 44) if (data := small.get(key(n))))
        again.has([key(n) for n in range(20)])
        again.write(items(range(15, 25)))
        assert disk_bytes(folder) <= MANY
        check(again)
        # Who asks for numbers is told what reading and writing bear: `stats` says what it raises.
        with suppress(NotOursError, OSError):
            assert again.stats().misses >= 0
    store.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_a_miss(folder: Path, damage: Callable[[Path, random.Random], None]) -> None:
    """However the file is damaged, a value is right or a miss, and no call fails."""
    for seed in range(6):
        damaged_store(folder, damage, seed)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_much_damage(folder: Path, damage: Callable[[Path, random.Random], None]) -> None:
    """The same, as often as `STORE_ROUNDS` says."""
    for seed in range(100, 100 + ROUNDS):
        damaged_store(folder, damage, seed)


def test_every_bit_of_a_value_counts(folder: Path) -> None:
    """A bit that falls in a value is found, the value goes, and the others stay."""
    DiskStore(folder, None).write(items(range(4)))
    path = folder / FILE_NAME
    whole = path.read_bytes()
    place = whole.index(value(2)[-2000:-1000])
    for bit in (0, 1, 999):
        path.write_bytes(whole)
        flip(path, place + bit)
        store = DiskStore(folder, None)
        assert store.read([key(n) for n in range(4)]) == {key(n): value(n) for n in (0, 1, 3)}
        assert kept(folder) == [0, 1, 3]
        write(store, 2)
        assert check(store) == 4


def test_what_is_cut_off_is_begun_anew(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file of which only the beginning is left works again, with what is written then."""
    for size in (1, 10, 80, 100, PAGE_BYTES - 1, PAGE_BYTES, 3 * PAGE_BYTES):
        DiskStore(folder, None).write(items(range(4)))
        os.truncate(folder / FILE_NAME, size)
        store = DiskStore(folder, None)
        check(store)
        write(store, 9)
        assert store.read([key(9)]) == {key(9): value(9)}
        store.close()
    assert "damaged" in caplog.text


_READS = """
store = DiskStore(folder, None)
there = 0
print("ready", flush=True)
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    there += check(store)
print(there)
"""


def test_a_file_that_is_overwritten_while_it_is_read(folder: Path) -> None:
    """Values that another program changes in place are never returned, and nobody dies of it."""
    store = DiskStore(folder, None)
    store.write(items(range(30)))
    store.close()
    path = folder / FILE_NAME
    whole = path.read_bytes()
    reader = in_another_process(_READS, folder, 1.5)
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"ready\n"
    numbers = random.Random(0)
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        with suppress(ValueError):  # the reader may just have emptied what it found damaged
            DAMAGES[numbers.randrange(3)](path, numbers)
        time.sleep(0.01)
        path.write_bytes(whole)
        time.sleep(0.01)
    there, told = reader.communicate(timeout=60)
    assert (reader.returncode, int(there) > 30) == (0, True), told


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


def test_a_file_of_its_own_tables_only(folder: Path) -> None:
    """A file with our mark and other tables, in whatever shape, is begun anew and not asked."""
    folder.mkdir()
    file = sqlite3.connect(folder / FILE_NAME)
    file.execute(f"PRAGMA application_id = {APPLICATION}")
    file.execute("PRAGMA user_version = 1")
    file.execute(
        "CREATE VIEW entries AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id FROM n) "
        "SELECT id, x'00' AS key FROM n"
    )
    file.commit()
    file.close()
    store = DiskStore(folder, None)
    assert store.read([key(0)]) == {}
    write(store, 0)
    assert store.read([key(0)]) == {key(0): value(0)}


@pytest.mark.parametrize(
    "change",
    [
        "value = x'00'",
        "value = 'text'",
        "value = 7",
        "value = zeroblob(length(value))",
        "id = id + 100",
    ],
)
def test_values_that_somebody_changed(folder: Path, change: str) -> None:
    """A row that is not what was written, of whatever type, is a miss and goes."""
    store = DiskStore(folder, None)
    store.write(items(range(3)))
    file = sqlite3.connect(folder / FILE_NAME)
    file.execute(f"UPDATE data SET {change} WHERE id = 2")
    file.commit()
    file.close()
    assert store.read([key(n) for n in range(3)]) == {key(n): value(n) for n in (0, 2)}
    assert kept(folder) == [0, 2]


@pytest.mark.parametrize(
    "change",
    ["used = 'text'", f"used = {2**63 - 1}", "used = -1.5", "size = 'text'", "tokens = x'00'"],
)
def test_numbers_that_somebody_changed(folder: Path, change: str) -> None:
    """What is said of a value may be anything: it is a miss or right, and room is made."""
    store = DiskStore(folder, MANY)
    store.write(items(range(3)))
    file = sqlite3.connect(folder / FILE_NAME)
    file.execute(f"UPDATE entries SET {change} WHERE id = 2")
    file.commit()
    file.close()
    assert store.stats().entries in (0, 3)
    write(store, *range(10, 40))
    assert disk_bytes(folder) <= MANY
    assert check(store, 40) > 8
    assert check(DiskStore(folder, MANY), 40) > 8


_FORKS = """
import warnings; warnings.simplefilter("ignore")
import threading
store = DiskStore(folder, MANY)
write(store, *range(10))
going = True
def work():
    numbers = random.Random(0)
    while going:
        store.write(items(numbers.sample(range(10), 2)))
        check(store)
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
children = []
for number in range(6):
    child = os.fork()
    if child == 0:
        connection = store._database._connection
        assert connection is None
        check(store)
        write(store, 20 + number)
        assert store.read([key(20 + number)])
        sys.exit(0 if number % 2 else os._exit(0))
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
going = False
for thread in threads: thread.join()
check(store)
write(store, 99)
assert store.read([key(99)])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forks(folder: Path) -> None:
    """A child reads and writes by itself, whatever the parent's threads are doing as it forks."""
    assert ended(in_another_process(_FORKS, folder)) == (0, "")
    assert disk_bytes(folder) <= MANY
    file = sqlite3.connect(folder / FILE_NAME)
    assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()


def test_nothing_is_mapped(folder: Path) -> None:
    """No file of the store is in the memory map of a process that reads and writes it."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc")
    store = DiskStore(folder, None)
    store.write({key(n): Entry(value(n)) for n in range(20)})
    check(store)
    assert FILE_NAME not in maps.read_text()
