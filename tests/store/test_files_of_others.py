"""What is not the store's own file is named and left alone."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from pathlib import Path

import pytest

from attnmass.store.disk import FILE_NAME, DiskStore
from tests.store.values import MANY, key, value, write


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
