"""Models are loaded once, on first use, shared, and can be released."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from attnmass import (
    AttentionRanker,
    HeadProfile,
    WeightsNotFoundError,
    release,
    shared_ranker,
)

OPTIONS: dict[str, Any] = {"heads": ((0, 1),), "dtype": "float32"}


def test_one_for_all_who_name_it(tiny_folder: Path) -> None:
    """The same name and options give the same ranker; other options another one."""
    first = shared_ranker(str(tiny_folder), **OPTIONS)
    assert shared_ranker(str(tiny_folder), **OPTIONS) is first
    assert shared_ranker(str(tiny_folder), heads=((0, 2),), dtype="float32") is not first


def test_profile_object_is_an_option(tiny_folder: Path) -> None:
    """A profile can be passed as an object."""
    profile = HeadProfile.from_heads([(0, 1)], model="tiny", layout="parallel", measured={"a": 1})
    first = shared_ranker(str(tiny_folder), profile=profile)
    assert shared_ranker(str(tiny_folder), profile=profile) is first


def test_threads_load_it_once(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen threads that ask at the same time make one load."""
    loads = 0
    original = AttentionRanker.from_pretrained

    def counted(name: Any, **options: Any) -> AttentionRanker:
        nonlocal loads
        loads += 1
        return original(name, **options)

    monkeypatch.setattr(AttentionRanker, "from_pretrained", counted)
    with ThreadPoolExecutor(16) as pool:
        jobs = [pool.submit(shared_ranker, str(tiny_folder), **OPTIONS) for _ in range(16)]
    assert len({id(job.result()) for job in jobs}) == 1
    assert loads == 1


def test_release_frees_it(tiny_folder: Path) -> None:
    """A released ranker is gone once nobody else holds it, and is loaded anew when asked for."""
    ranker = shared_ranker(str(tiny_folder), **OPTIONS)
    gone = weakref.ref(ranker)
    assert release("another") == 0
    assert release(str(tiny_folder)) == 1
    del ranker
    gc.collect()
    assert gone() is None
    assert shared_ranker(str(tiny_folder), **OPTIONS).profile.heads == ((0, 1),)
    assert release() == 1


def test_failure_is_not_remembered(tmp_path: Path, tiny_folder: Path) -> None:
    """A load that failed is tried again by the next call."""
    name = tmp_path / "later"
    with pytest.raises(WeightsNotFoundError):
        shared_ranker(str(name), **OPTIONS)
    name.symlink_to(tiny_folder)
    assert shared_ranker(str(name), **OPTIONS).profile.heads == ((0, 1),)
