"""What `index` tells while it reads, and what it refuses."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attnmass import AttentionRanker
from attnmass.cli import index as index_command
from attnmass.cli import index_jobs, reading
from attnmass.cli.index_jobs import Batches, Done
from attnmass.cli.items import Item
from attnmass.cli.options import ChunkOptions
from attnmass.cli.units import duration, size
from attnmass.store import disk, statements
from attnmass.store.disk import FILE_NAME
from attnmass.text.chunk import Chunk
from tests.cli.conftest import Cli
from tests.cli.index.conftest import (
    FAILED,
    INPUT,
    N_LINES,
    USAGE,
    long_lines,
    summary,
)


def test_chunks_come_one_by_one(texts: Path) -> None:
    """No more of JSON Lines is read than was asked for, and of a folder no more than a file."""
    good, bad = b'{"text": "gold"}\n', b"{\n"
    Path("lines.jsonl").write_bytes(good * 3 + bad)
    items = reading.iter_items(["docs", "lines.jsonl"], ChunkOptions(), lambda _: None)
    assert [next(items).chunk.text for _ in range(6)][3:] == ["gold"] * 3
    with pytest.raises(reading.InputError, match=r"lines\.jsonl:4: not JSON"):
        next(items)


def test_batches_hold_no_more_than_they_are_read_for() -> None:
    """Batches begin small, become as large as takes some seconds, and are bounded in characters."""
    taken: list[int] = []

    def items(text: str) -> Iterator[Item]:
        for number in range(10_000):
            taken.append(number)
            yield Item(Chunk(text), "here")

    batches = Batches(items("Some gold."))
    assert len(next(batches)) == len(taken) == 8
    batches.adapt(Done(chunks=8, seconds=0.001))
    assert len(next(batches)) == 16
    for _ in range(20):
        batches.adapt(Done(chunks=100, seconds=0.001))
    assert len(next(batches)) == 512
    batches.adapt(Done(chunks=512, seconds=100.0))
    assert len(next(batches)) == 10
    taken.clear()
    assert len(next(Batches(items("x" * 1_500_000)))) == 2
    assert list(Batches(iter(()))) == []


def test_estimate(
    cli: Cli, corpus: Path, model: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a few chunks it says how long the others take and how large the store gets."""
    monkeypatch.setattr(index_command, "_FEW", 20)
    result = cli("index", long_lines(corpus), *model, "--store", "kept", "-f", "json")
    (line,) = result.stderr.splitlines()
    found = re.fullmatch(
        r"note: about \d+ seconds? for (\d+) chunks, ([\d.]+) KB in the store", line
    )
    assert found, line
    done = summary(result)
    assert done["read"] - 32 <= int(found[1]) <= done["read"] - 16
    assert float(found[2]) * 1e3 == pytest.approx(done["bytes"], rel=0.2)
    quiet = cli("index", "docs", "lines.jsonl", *model, "--store", "other", "--quiet")
    assert quiet.stderr == ""


def test_progress(
    cli: Cli, corpus: Path, model: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks sees chunks, chunks and tokens a second, and the time left."""
    monkeypatch.setattr(index_command, "is_watched", lambda: True)
    arguments = ("index", "lines.jsonl", *model, "--store", "kept")
    shown = cli(*arguments).stderr
    assert re.search(rf"Reading chunks: .* \d+/{N_LINES} \[.*<.*chunk/s, [\d,]+ tokens/s", shown)
    assert "Reading chunks" not in cli(*arguments, "--quiet").stderr


def test_a_bound_that_is_too_small(
    cli: Cli, corpus: Path, model: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It warns before it reads much, and tells at the end how many chunks are not there."""
    monkeypatch.setattr(index_command, "_FEW", 20)
    monkeypatch.setattr(statements, "SPLIT_PAGES", (0, 64))
    options = (*model, "--store", "kept", "--store-bytes", "262144", "-f", "json")
    result = cli("index", long_lines(corpus), *options)
    done = summary(result)
    assert done["evicted"] > 0
    assert done["bytes"] <= 262144
    _, early, late = result.stderr.splitlines()
    assert early.startswith("warning: the store may take up 262 KB, which is too little")
    assert late.startswith(f"warning: {done['evicted']} chunks were evicted from the store")


def test_a_store_that_fails_underway(
    cli: Cli, corpus: Path, model: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where chunks cannot be kept any more it ends with an error, not with hours of reading."""
    monkeypatch.setattr(disk.DiskStore.__init__, "__defaults__", (0.1,))
    read = index_jobs.read_batch
    file = None

    def lock(ranker: AttentionRanker, batch: list[Chunk]) -> Done:
        nonlocal file
        done = read(ranker, batch)
        file = file or sqlite3.connect(Path("kept") / FILE_NAME, isolation_level=None)
        if not file.in_transaction:
            file.execute("BEGIN EXCLUSIVE")
        return done

    monkeypatch.setattr(index_jobs, "read_batch", lock)
    told = cli.fails(FAILED, "index", "lines.jsonl", *model, "--store", "kept")
    assert "cannot be used: database is locked" in told
    assert f"at least 8 of {N_LINES} chunks are in kept" in told
    assert file is not None
    file.close()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("docs",), USAGE, "no --store"),
        (("docs", "--store", "kept", "--jobs", "0"), USAGE, "--jobs"),
        (("docs", "--store", "kept", "--store-bytes", "9000"), USAGE, "at least 131072"),
        (("docs", "--store", "docs/gold.md"), USAGE, "--store is not a folder"),
        (("docs", "--store", "kept", "--layout", "early"), USAGE, "'early' is not one of"),
        (("docs", "--store", "kept", "--queries", "q.jsonl"), USAGE, "--queries"),
        (("-", "-", "--store", "kept"), USAGE, "once"),
        (("--store", "kept"), INPUT, "nothing to read in <stdin>"),
        (("nowhere", "--store", "kept"), INPUT, "nowhere: no such file"),
        (("bad.jsonl", "--store", "kept"), INPUT, "bad.jsonl:2: not JSON"),
        (("docs", "--store", "pipe"), USAGE, "is not a file but a FIFO"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_read(
    cli: Cli,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    """Wrong arguments and input end with their code, and no model is loaded."""
    Path("bad.jsonl").write_text('{"text": "gold"}\n{')
    Path("pipe").mkdir()
    os.mkfifo(Path("pipe") / FILE_NAME)
    loaded: list[Any] = []
    monkeypatch.setattr("attnmass.engine.engine.load", lambda *_, **__: loaded.append(1))
    assert said in cli.fails(code, "index", *arguments)
    assert not loaded
    assert not Path("kept").exists()


def test_an_encoder_reads_nothing_ahead(cli: Cli, corpus: Path) -> None:
    """A model that reads each chunk with the query is refused."""
    from tests.tiny import tiny_tokenizer
    from tests.tiny_encoder import tiny_encoder

    tiny_encoder().save_pretrained("encoder")
    tiny_tokenizer().save_pretrained("encoder")
    options = ("--model", "encoder", "--heads", "0-0", "--store", "kept")
    assert "layout 'late' is not for an encoder" in cli.fails(USAGE, "index", "docs", *options)
    told = cli.fails(USAGE, "index", "docs", *options, "--layout", "pointwise")
    assert "query" in told


def test_options_were_renamed(cli: Cli, texts: Path) -> None:
    """The store's options are told under their new names where an old one is passed."""
    for old, new in (
        ("--cache-folder", "--store"),
        ("--cache-folder-bytes", "--store-bytes"),
        ("--cache-bytes", "--memory-bytes"),
        ("--cache-format", "--store-format"),
    ):
        told = cli.fails(USAGE, "rank", "gold", "docs", old, "9")
        assert told == f"error: {old} is called {new} now\n"


@pytest.mark.parametrize(
    ("make", "value", "said"),
    [
        (duration, 0.2, "1 second"),
        (duration, 80, "80 seconds"),
        (duration, 725, "12 minutes"),
        (duration, 9000, "2.5 hours"),
        (duration, 100_000, "28 hours"),
        (size, 300, "0 KB"),
        (size, 4_400_000, "4.4 MB"),
        (size, 430_000_000, "430 MB"),
        (size, 2_500_000_000, "2.5 GB"),
    ],
)
def test_amounts(make: Callable[[float], str], value: float, said: str) -> None:
    """Times and bytes are told in a unit that people would use."""
    assert make(value) == said
