"""Captures on disk: whole or not there, and each for its own model and query."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attnmass.fitting.captures.store import Capture, Store


def capture(**more: object) -> Capture:
    """A capture of two heads and three chunks."""
    masses = np.arange(6, dtype=np.float32).reshape(2, 3)
    return Capture(masses, np.ones(3, dtype=np.float32), **more)  # type: ignore[arg-type]


def test_round_trip(tmp_path: Path) -> None:
    """What is written is read again, and what is not there is not there."""
    store = Store(tmp_path, {"model": "m"})
    store.write("a", capture())
    store.write("b", capture(null=np.ones((2, 3), dtype=np.float32)))
    for name, has_null in (("a", False), ("b", True)):
        found = store.read(name)
        assert found is not None
        assert found.masses.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert (found.null is not None) is has_null
        assert found.span_masses is None
    assert store.has("a")
    assert not store.has("c")
    assert store.read("c") is None
    assert store.read("b").beyond_null.tolist() == [[-1, 0, 1], [2, 3, 4]]  # type: ignore[union-attr]


def test_each_model_has_its_own(tmp_path: Path) -> None:
    """Another model, or another way to read it, finds nothing of the first."""
    first = Store(tmp_path, {"model": "m", "layout": "parallel"})
    first.write("a", capture())
    assert Store(tmp_path, {"layout": "parallel", "model": "m"}).has("a")
    assert not Store(tmp_path, {"model": "n", "layout": "parallel"}).has("a")
    assert not Store(tmp_path, {"model": "m", "layout": "joint"}).has("a")


def test_cut_off_files_are_no_captures(tmp_path: Path) -> None:
    """A file that is broken, or of another kind, is as if it were not there."""
    store = Store(tmp_path, {})
    store.write("a", capture())
    (path,) = store.folder.glob("*.safetensors")
    whole = path.read_bytes()
    for data in (b"", whole[:-4], b"pickle"):
        path.write_bytes(data)
        assert store.read("a") is None


def test_no_scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails, neither the file nor a part of it is left."""
    store = Store(tmp_path, {})
    before = set(store.folder.iterdir())

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        store.write("a", capture())
    assert set(store.folder.iterdir()) == before
