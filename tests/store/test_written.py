"""A store says who wrote into it, for people and for what reads it next."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.store.entry import Entry
from attnmass.store.statements import LARGEST_ABOUT, SMALLEST_LIMIT
from attnmass.store.tables import PAGE_BYTES
from attnmass.store.written import Written, note_written, read_written


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    """A store whose folder is not there yet."""
    return DiskStore(tmp_path / "kept", None)


def test_models_and_their_layouts(store: DiskStore) -> None:
    """Each model is told once, in the layout that it wrote last, and the latest is last."""
    assert read_written(store) == ()
    for model, layout in (("a", "late"), ("b", "late"), ("a", "parallel")):
        note_written(store, model, layout)
    again = DiskStore(store.folder, None)
    assert read_written(again) == (Written("b", "late"), Written("a", "parallel"))


def test_what_is_told_is_bounded(store: DiskStore) -> None:
    """Of many models, or of long names, the latest are told, and no name that is no line."""
    for number in range(30):
        note_written(store, f"model-{number}", "late")
    assert [one.model for one in read_written(store)] == [f"model-{n}" for n in range(14, 30)]
    for number in range(30):
        note_written(store, f"{number}-\ud800" + "x" * 900, "late")
    assert [one.model[:2] for one in read_written(store)] == ["26", "27", "28", "29"]
    note_written(store, "x" * 1001, "late")
    assert len(read_written(store)) == 4
    with pytest.raises(ValueError, match="not 4097"):
        store.tell(lambda _: b"x" * (LARGEST_ABOUT + 1))


def test_it_stays_beside_the_values(tmp_path: Path) -> None:
    """It is not counted, nor evicted, takes no more than the bound, and goes with the values."""
    store = DiskStore(tmp_path, SMALLEST_LIMIT)
    note_written(store, "a", "late")
    assert (store.stats().entries, store.stats().value_bytes) == (0, 0)
    for number in range(40):
        store.write({str(number): Entry(bytes(PAGE_BYTES // 2), tokens=1)})
        assert store.disk_bytes <= SMALLEST_LIMIT
    assert store.evictions > 30
    for number in range(20):
        note_written(store, f"{number}" + "y" * 240, "late")
        assert store.disk_bytes <= SMALLEST_LIMIT
    assert len(read_written(store)) > 8
    assert store.read(["39"]) != {}
    store.clear()
    assert read_written(store) == ()


@pytest.mark.parametrize(
    "said",
    [b"", b"{", b"5", b"null", b'{"a": 1}', b'[{"model": "a"}]', b'[{"model": 1, "layout": "x"}]',
     b"[1]", b"\xff", b"[" * 3000],
)  # fmt: skip
def test_what_others_say_is_no_error(store: DiskStore, said: bytes) -> None:
    """What cannot be understood is nothing, and is written over."""
    store.tell(lambda _: said)
    assert read_written(store) == ()
    note_written(store, "a", "late")
    assert read_written(store) == (Written("a", "late"),)


def test_damage_is_found(store: DiskStore) -> None:
    """What is not whole is not told."""
    note_written(store, "a", "late")
    file = sqlite3.connect(store.folder / FILE_NAME, isolation_level=None)
    for value in ("replace(value, 'late', 'lake')", "x''", "5", "'text'"):
        file.execute(f"UPDATE data SET value = {value} WHERE id = 0")
        assert read_written(store) == ()
    file.close()


def test_a_store_that_cannot_be_used(tmp_path: Path) -> None:
    """To tell something of a store that cannot be written is an error, unlike to keep a value."""
    (tmp_path / "file").write_text("")
    store = DiskStore(tmp_path / "file" / "kept", None)
    with pytest.raises(OSError, match="cannot be used"):
        note_written(store, "a", "late")
    assert store.trouble is None
    store.write({"a": Entry(b"b")})
    assert store.trouble is not None
    assert "cannot be used" in store.trouble
