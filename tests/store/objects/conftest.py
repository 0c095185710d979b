"""A file system in memory that is empty, and goes wrong where a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.store.objects.bucket import Faults


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    """Nothing is in the memory's file system, before and after."""
    files = pytest.importorskip("fsspec").filesystem("memory")
    files.store.clear()
    yield
    files.store.clear()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Lets things go wrong in the memory's file system."""
    from fsspec.implementations.memory import MemoryFileSystem

    found = Faults()
    for name in ("ls", "cat_file", "pipe_file"):
        whole = getattr(MemoryFileSystem, name)

        def call(self: Any, *args: Any, whole: Any = whole, name: str = name, **more: Any) -> Any:
            found.happen(name)
            return whole(self, *args, **more)

        monkeypatch.setattr(MemoryFileSystem, name, call)
    return found
