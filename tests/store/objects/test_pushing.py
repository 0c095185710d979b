"""A folder is copied into an object store, and another one filled from there."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fsspec")

from attnmass.store import copying, packs
from attnmass.store.copying import pull, push
from attnmass.store.disk import DiskStore
from attnmass.store.entry import Entry
from attnmass.store.objects import ObjectStore
from tests.store.objects.bucket import ITEMS, ROOT, Faults


def test_a_folder_is_pushed_and_another_filled(tmp_path: Path) -> None:
    """All comes over in few files; a second time nothing is copied, and a new value is alone."""
    one, two = DiskStore(tmp_path / "one", None), DiskStore(tmp_path / "two", None)
    one.write(ITEMS)
    store = ObjectStore(ROOT)
    copied = push(one, store)
    assert (copied.values, copied.there) == (300, 0)
    assert len(store._packs) == 1
    assert push(one, ObjectStore(ROOT)) == copying.Copied(0, 300, 0)
    one.write({"new": Entry(b"abc", 3)})
    assert push(one, ObjectStore(ROOT)).values == 1
    two.write({"key-5": ITEMS["key-5"]})
    copied = pull(ObjectStore(ROOT), two)
    assert (copied.values, copied.there, copied.bytes) == (300, 1, 299 * 100 + 3)
    assert two.read([*ITEMS, "new"]) == {key: entry.data for key, entry in ITEMS.items()} | {
        "new": b"abc"
    }
    assert two.stats().tokens == one.stats().tokens
    for each in (one, two):
        each.close()


def test_files_are_of_one_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large folder becomes several files."""
    monkeypatch.setattr(packs, "PACK_BYTES", 1000)
    folder = DiskStore(tmp_path, None)
    folder.write(ITEMS)
    store = ObjectStore(ROOT)
    assert push(folder, store).values == 300
    assert len(store._packs) == 30
    assert ObjectStore(ROOT).read(list(ITEMS)) == ITEMS
    folder.close()


def test_a_push_that_fails_says_so(
    tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full, a forbidden and a slow store end it with an error; the next one goes on there."""
    monkeypatch.setattr(packs, "PACK_BYTES", 1000)
    folder = DiskStore(tmp_path / "one", None)
    folder.write(ITEMS)
    faults.error = OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space left"):
        push(folder, ObjectStore(ROOT))
    faults.error = None
    faults.seconds = 0.5
    with pytest.raises(OSError, match="too long"):
        push(folder, ObjectStore(ROOT, patience=0.2))
    faults.seconds = 0.0
    store = ObjectStore(ROOT)
    before = len(store.has(list(ITEMS)))
    assert push(folder, store).values == 300 - before
    faults.error = PermissionError("access denied")
    with pytest.raises(OSError, match="access denied"):
        pull(ObjectStore(ROOT), DiskStore(tmp_path / "two", None))
    faults.error = None
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="cannot be used"):
        pull(ObjectStore(ROOT), DiskStore(tmp_path / "file", None))
    folder.close()
