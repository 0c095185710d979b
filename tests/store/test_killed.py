"""Processes that are killed while they write, or fork: a value is what was written or a miss."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from attnmass.store.disk import FILE_NAME, DiskStore
from tests.store.processes import ended, in_another_process, killed_writers
from tests.store.values import MANY, ROUNDS, check, disk_bytes, items, key, value, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


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
