"""Whatever happens to the file, a value is what was written or a miss."""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.store.tables import APPLICATION, PAGE_BYTES
from tests.store.damages import DAMAGES, damaged_store, flip
from tests.store.processes import in_another_process
from tests.store.values import MANY, ROUNDS, check, disk_bytes, items, kept, key, value, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


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
