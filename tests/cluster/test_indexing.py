"""What an actor makes of rows, without Ray: chunks into the stores of shards."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from attnmass import AttentionRanker, Chunk
from attnmass.cluster.indexing import Reader
from attnmass.errors import CaptureError
from attnmass.store.disk import DiskStore
from tests.layouts.test_shards import TEXTS


def reader(tiny_folder: Path, store: Path, shards: int = 2, **more: Any) -> Reader:
    """An actor of the tiny model."""
    return Reader(
        store=str(store),
        columns=("text", None),
        shards=shards,
        counts=False,
        options={"model": str(tiny_folder), "heads": ((1, 0), (1, 3)), "batch_size": 1, **more},
    )


CHUNKS = [Chunk(text) for text in TEXTS]


def test_chunks_are_read_once_into_the_folder_of_their_shard(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """A second run, and another actor, find what is there; each chunk lies in one folder."""
    errors, counts = reader(tiny_folder, tmp_path).read([*CHUNKS, Chunk(" ")])
    assert errors == [None] * (len(TEXTS) + 1)
    assert (counts.read, counts.skipped, counts.unreadable) == (len(TEXTS), 0, 1)
    assert counts.tokens > 0
    again = reader(tiny_folder, tmp_path).read(CHUNKS)[1]
    assert (again.read, again.skipped, again.tokens) == (0, len(TEXTS), 0)
    sizes = [DiskStore(tmp_path / name, None).stats().entries for name in ("shard-0", "shard-1")]
    assert sum(sizes) == len(TEXTS)
    assert min(sizes) > 0


def test_one_shard_is_a_store_as_any(tiny_folder: Path, tmp_path: Path) -> None:
    """What is read into one shard, a ranker finds in the folder by its name."""
    reader(tiny_folder, tmp_path, shards=1).read(CHUNKS)
    options: dict[str, Any] = {"heads": ((1, 0), (1, 3)), "layout": "late", "store": tmp_path}
    found = AttentionRanker.from_pretrained(tiny_folder, **options)
    found.rank("Who was it?", TEXTS)
    assert (found.stats.hits, found.stats.misses) == (len(TEXTS), 0)


def test_one_more_shard_has_only_its_own_read_anew(tiny_folder: Path, tmp_path: Path) -> None:
    """Where a shard is added, only chunks that move to it are read again."""
    reader(tiny_folder, tmp_path, shards=2).read(CHUNKS)
    counts = reader(tiny_folder, tmp_path, shards=3).read(CHUNKS)[1]
    assert 0 < counts.read == DiskStore(tmp_path / "shard-2", None).stats().entries < len(TEXTS)


def test_a_bad_row_is_told_and_costs_no_other(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no text, and what the model fails on, have an error; the rows around are read."""
    actor = reader(tiny_folder, tmp_path)
    warm = type(actor._ranker).warm

    def failing(self: AttentionRanker, chunks: list[Chunk], **options: Any) -> Any:
        if any("city" in chunk.text for chunk in chunks):
            raise CaptureError("NaN in layer 1")
        return warm(self, chunks, **options)

    monkeypatch.setattr(type(actor._ranker), "warm", failing)
    errors, counts = actor.read([CHUNKS[0], None, Chunk("a city"), CHUNKS[1]])
    assert errors == [None, "not text", "CaptureError: NaN in layer 1", None]
    assert (counts.read, counts.failed) == (2, 2)


def test_a_store_that_cannot_be_written_is_told(tiny_folder: Path, tmp_path: Path) -> None:
    """No row counts as read once the folder of a shard is none any more."""
    actor = reader(tiny_folder, tmp_path / "store")
    folder = tmp_path / "store" / "shard-0"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("no folder")
    errors, counts = actor.read(CHUNKS)
    assert counts.trouble is not None
    assert all(errors)
