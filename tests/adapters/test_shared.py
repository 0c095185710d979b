"""Models are loaded once, on first use, shared, and can be released."""

from __future__ import annotations

import gc
import shutil
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
from attnmass.adapters import shared
from tests.tiny import tiny_model

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
    """What is released is free when that returns, and is loaded anew when asked for."""
    gc.collect()
    gc.disable()
    try:
        ranker = shared_ranker(str(tiny_folder), **OPTIONS)
        ranker.rank("who?", ["Albert Einstein developed it.", "The river runs."])
        weight = next(ranker._layout._reader._view.parameters())  # type: ignore[attr-defined]
        gone = [weakref.ref(ranker), weakref.ref(weight)]
        del weight
        assert release("another") == 0
        del ranker
        assert release(str(tiny_folder)) == 1
        assert [each() for each in gone] == [None, None]
    finally:
        gc.enable()
    assert shared_ranker(str(tiny_folder), **OPTIONS).profile.heads == ((0, 1),)
    assert release() == 1


def weight_of(ranker: AttentionRanker) -> int:
    """Where a ranker's first weight is in memory."""
    reader: Any = ranker._layout._reader  # type: ignore[attr-defined]
    return int(next(reader._view.parameters()).data_ptr())


def test_the_same_weights_are_in_memory_once(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caches, spellings of a path and of a device do not matter to weights; dtype and depth do."""
    monkeypatch.chdir(tiny_folder.parent)
    first = shared_ranker(str(tiny_folder), **OPTIONS)
    others: list[tuple[str, dict[str, Any]]] = [
        (str(tiny_folder), {"memory_bytes": 1000}),
        (str(tiny_folder), {"store": str(tmp_path)}),
        (str(tiny_folder), {"device": "cpu"}),
        (str(tiny_folder), {"max_chunk_tokens": 100}),
        (str(tiny_folder), {"layout": "joint"}),
        (f"./{tiny_folder.name}/", {}),
        (f"../{tiny_folder.parent.name}/{tiny_folder.name}", {}),
    ]
    rankers = [shared_ranker(name, **{**OPTIONS, **options}) for name, options in others]
    assert {weight_of(ranker) for ranker in rankers} == {weight_of(first)}
    assert len({id(ranker) for ranker in (first, *rankers)}) == len(rankers) + 1
    half = shared_ranker(str(tiny_folder), heads=((0, 1),), dtype="bfloat16")
    deeper = shared_ranker(str(tiny_folder), heads=((1, 1),), dtype="float32")
    assert len({weight_of(ranker) for ranker in (first, half, deeper)}) == 3
    assert release(f"./{tiny_folder.name}") == len(rankers) + 3


def test_weights_that_were_written_anew_are_loaded_anew(tiny_folder: Path, tmp_path: Path) -> None:
    """Files that changed since are not what is in memory, whoever still holds that."""
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    first = shared_ranker(str(folder), **OPTIONS)
    tiny_model(seed=3).save_pretrained(folder)
    second = shared_ranker(str(folder), memory_bytes=0, **OPTIONS)
    chunks = ["Albert Einstein developed it.", "The river runs through the city."]
    assert weight_of(second) != weight_of(first)
    assert second.rank("who?", chunks).scores != first.rank("who?", chunks).scores


def test_what_cannot_be_loaded_leaves_nothing(tmp_path: Path, tiny_folder: Path) -> None:
    """Names without weights, options that are off or cannot be hashed take no place for ever."""
    for number in range(3):
        with pytest.raises(WeightsNotFoundError):
            shared_ranker(str(tmp_path / str(number)), **OPTIONS)
    with pytest.raises(ValueError, match="fridge"):
        shared_ranker(str(tiny_folder), device="fridge", **OPTIONS)
    with pytest.raises(TypeError):
        shared_ranker(str(tiny_folder), heads=[[0, 1]])
    assert shared._slots == {}


def test_failure_is_not_remembered(tmp_path: Path, tiny_folder: Path) -> None:
    """A load that failed is tried again by the next call."""
    name = tmp_path / "later"
    with pytest.raises(WeightsNotFoundError):
        shared_ranker(str(name), **OPTIONS)
    name.symlink_to(tiny_folder)
    assert shared_ranker(str(name), **OPTIONS).profile.heads == ((0, 1),)
