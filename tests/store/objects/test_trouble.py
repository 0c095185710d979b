"""An object store that is gone, slow or short of files: misses, and nobody waits long."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("fsspec")

import fsspec

from attnmass.store import far_files, objects
from attnmass.store.objects import ObjectStore
from tests.store.objects.bucket import ITEMS, ROOT, Faults, written


def test_a_store_that_is_gone(
    faults: Faults, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked once, then left alone for a while, and used again when it is back."""
    written()
    store = ObjectStore(ROOT)
    faults.error = PermissionError("access denied")
    faults.asked.clear()
    for _ in range(50):
        assert store.read(list(ITEMS)) == {}
        assert store.has(list(ITEMS)) == set()
    assert faults.asked == ["ls"]
    assert store.failures == 100
    assert store.misses == 50 * 300
    assert "access denied" in str(store.trouble)
    assert len(caplog.records) == 1
    faults.error = None
    assert store.read(list(ITEMS)) == {}
    monkeypatch.setattr(store._files, "_resting_until", 0.0)
    assert store.read(list(ITEMS)) == ITEMS
    faults.error = RuntimeError()  # as packages of file systems have of their own
    assert store.read(list(ITEMS)) == {}
    assert "RuntimeError" in str(store.trouble)


def test_files_that_are_gone(faults: Faults) -> None:
    """Values of a file that was removed are misses, and others are read."""
    first, _ = written(n_files=2)
    store = ObjectStore(ROOT)
    assert store.has(list(ITEMS)) == set(ITEMS)
    fsspec.filesystem("memory").rm_file(f"/bucket/chunks/{first}")
    found = store.read(list(ITEMS))
    assert len(found) == 150
    assert found.items() <= ITEMS.items()
    assert store.failures == 0
    assert store.has(list(ITEMS)) == set(found)


def test_a_slow_store(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than patience lasts, and nobody asks while it has not answered."""
    monkeypatch.setattr(far_files, "_REST", 0.0)
    written()
    store = ObjectStore(ROOT, patience=0.2)
    faults.seconds = 1.0
    started = time.monotonic()
    for _ in range(5):
        assert store.read(list(ITEMS)) == {}
    assert time.monotonic() - started < 0.9
    assert store.failures == 5
    assert len(faults.asked) == 2  # one that wrote, and one that nobody waits for
    faults.seconds = 0.0
    assert store._files._asked is not None
    store._files._asked.exception()
    assert store.read(list(ITEMS)) == ITEMS


def test_a_thread_that_lives_on_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has answered the next question is asked, whenever the system ends the thread."""

    class Lingering(threading.Thread):
        def run(self) -> None:
            super().run()
            time.sleep(0.2)

    monkeypatch.setattr(far_files, "Thread", Lingering)
    written()
    store = ObjectStore(ROOT)
    for key, entry in list(ITEMS.items())[:3]:
        assert store.read([key]) == {key: entry}
    assert store.failures == 0


def test_what_came_in_time_is_kept(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a store that answers too slowly for all that is asked, a part is found, and more next."""
    monkeypatch.setattr(far_files, "_REST", 0.0)
    monkeypatch.setattr(objects, "_AT_ONCE", 1)
    written(n_files=10)
    store = ObjectStore(ROOT, patience=0.3)
    faults.seconds = 0.05
    sizes = []
    for _ in range(20):
        found = store.read(list(ITEMS))
        assert found.items() <= ITEMS.items()
        sizes.append(len(store.has(list(ITEMS))))
        if sizes[-1] == 300:
            break
        assert store._files._asked is not None
        store._files._asked.exception()
    assert 0 < sizes[0] < 300
    assert sizes[-1] == 300
