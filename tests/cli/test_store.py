"""`store`: what a folder keeps, told or removed."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from attnmass.store import disk
from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.store.entry import Entry
from attnmass.store.objects import ObjectStore
from tests.cli.conftest import Cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two chunks, of 1,500 tokens and 3,000 bytes together."""
    store = DiskStore(tmp_path / "kept", None)
    store.write({"a": Entry(bytes(1000), tokens=500), "b": Entry(bytes(2000), tokens=1000)})
    store.close()
    return tmp_path / "kept"


def test_what_a_folder_keeps(cli: Cli, folder: Path) -> None:
    """Chunks, tokens, bytes and the last use are told, to people, to scripts and as JSON."""
    (found,) = json.loads(cli("store", folder, "-f", "json").stdout)
    size = (folder / FILE_NAME).stat().st_size
    assert found.pop("last_used").startswith(time.strftime("%Y-"))
    assert found == {
        "folder": str(folder),
        "chunks": 2,
        "tokens": 1500,
        "bytes": size,
        "bytes_per_token": 2.0,
        "version": 1,
        "written": [],
    }
    line = cli("store", folder).stdout
    assert line.startswith(f"2\t1,500\t{size:,}\t2.0\t")
    told = cli("store", folder, "-f", "table").stdout
    assert "bytes a token" in told
    assert "1,500" in told


def test_to_look_is_no_use(cli: Cli, folder: Path) -> None:
    """Telling what is there changes nothing of it."""
    before = (folder / FILE_NAME).read_bytes()
    cli("store", folder)
    assert (folder / FILE_NAME).read_bytes() == before


def test_clear(cli: Cli, folder: Path) -> None:
    """All is removed, and what is left is told."""
    (found,) = json.loads(cli("store", folder, "--clear", "-f", "json").stdout)
    assert (found["chunks"], found["bytes"], found["last_used"]) == (0, 0, None)
    assert DiskStore(folder, None).read(["a", "b"]) == {}


def test_folders_without_a_store(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """What is not there, or is no folder, or keeps nothing, is named in a sentence."""
    assert "there is no such folder" in cli.fails(3, "store", tmp_path / "nowhere")
    assert "is not a folder" in cli.fails(3, "store", folder / FILE_NAME)
    assert f"there is no {FILE_NAME}" in cli.fails(3, "store", tmp_path)
    (tmp_path / FILE_NAME).write_text("a list of shops, which is longer than a header is " * 3)
    for option in ([], ["--clear"]):
        assert "is not a store of attnmass" in cli.fails(3, "store", tmp_path, *option)
    assert (tmp_path / FILE_NAME).read_text().startswith("a list of shops")


def test_a_store_that_is_locked(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process does not give the store back, that is said and nothing is guessed."""
    monkeypatch.setattr(disk.DiskStore.__init__, "__defaults__", (0.1,))
    file = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    file.execute("BEGIN EXCLUSIVE")
    for option in ([], ["--clear"]):
        assert "is locked" in cli.fails(5, "store", folder, *option)
    file.close()


def test_push_and_pull(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """What one machine pushed another one pulls, into a folder that is made, and once only."""
    url = (tmp_path / "far").as_uri()
    pushed = cli("store", folder, "--push", url, "-f", "json")
    assert "2 chunks more" in pushed.stderr
    assert len(list((tmp_path / "far").iterdir())) == 1
    pulled = cli("store", tmp_path / "new", "--pull", url, "-f", "json")
    (found,) = json.loads(pulled.stdout)
    assert (found["chunks"], found["tokens"]) == (2, 1500)
    assert DiskStore(tmp_path / "new", None).read(["a", "b"]) == {
        "a": bytes(1000),
        "b": bytes(2000),
    }
    again = cli("store", tmp_path / "new", "--pull", url)
    assert "0 chunks more" in again.stderr
    assert "2 were there" in again.stderr


@pytest.mark.parametrize(
    ("option", "can_be"), [("--push", True), ("--pull", True), ("--push", False)]
)
def test_what_was_copied_to_is_closed(
    cli: Cli,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    *,
    can_be: bool,
) -> None:
    """An object store is closed once it was written or read, and where that failed."""
    closed = []
    monkeypatch.setattr(ObjectStore, "close", lambda store: closed.append(store.url))
    url = (tmp_path / "far").as_uri() if can_be else "file:///proc/nowhere"
    assert (cli("store", folder, option, url).exit_code == 0) == can_be
    assert closed == [url]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--push", "redis://127.0.0.1/0"), 2, "not a folder in an object store"),
        (("--push", "gs://bucket/x"), 2, "gcsfs"),
        (("--pull", "nothing"), 2, "--pull 'nothing' is not the URL"),
        (("--push", "/a/folder"), 2, "file:///folder"),
        (("--pull", "memory://x", "--clear"), 2, "pass one of"),
        (("--push", "file:///proc/nowhere"), 5, "not all could be copied"),
    ],
)
def test_copies_that_cannot_be(
    cli: Cli, folder: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    """Addresses that are off and stores that cannot be written are told, and nothing is lost."""
    found = cli("store", folder, *options)
    assert found.exit_code == code
    assert message in " ".join(found.stderr.split())
    assert set(DiskStore(folder, None).read(["a", "b"])) == {"a", "b"}
