"""`index`: a corpus is read into a store ahead, and found there by what ranks."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from attnmass import AttentionRanker
from attnmass.cli import index_jobs
from attnmass.cli.index_jobs import Done
from attnmass.store.disk import DiskStore
from attnmass.text.chunk import Chunk
from tests.cli.conftest import Cli
from tests.cli.index.conftest import (
    INTERRUPTED,
    N_LINES,
    notes,
    summary,
)


@pytest.mark.parametrize("split", [(), ("--split", "40")])
def test_rank_finds_every_chunk(
    cli: Cli,
    corpus: Path,
    model: tuple[str, ...],
    rankers: list[AttentionRanker],
    split: tuple[str, ...],
) -> None:
    """Over the same paths `rank` reads no token, in the store's layout, and scores as without."""
    what = ("docs", "lines.jsonl", *split)
    done = summary(cli("index", *what, *model, "--store", "kept", "-f", "json"))
    assert done["layout"] == "late"
    assert done["unreadable"] == 1
    assert done["read"] + done["skipped"] + 1 == done["chunks"] >= N_LINES + 3
    assert rankers[-1].stats.tokens_encoded == done["tokens_read"] > 0
    assert rankers[-1].stats.memory_bytes == 0
    asked = ("rank", "When does train 7 leave?", *what, *model)
    found = cli.json(*asked, "--store", "kept")
    stats = rankers[-1].stats
    assert (stats.tokens_encoded, stats.misses) == (0, 0)
    assert stats.hits == done["read"] if not split else stats.hits > 0
    assert found["profile"]["layout"] == "late"
    assert found["chunks"][0]["score"] > found["chunks"][1]["score"]
    plain = cli.json(*asked, "--layout", "late")
    assert [chunk["score"] for chunk in found["chunks"]] == [
        chunk["score"] for chunk in plain["chunks"]
    ]


@pytest.mark.parametrize("command", ["trim", "explain"])
def test_others_find_it_too(
    cli: Cli,
    corpus: Path,
    model: tuple[str, ...],
    rankers: list[AttentionRanker],
    command: str,
) -> None:
    """So do the other commands that read chunks."""
    summary(cli("index", "lines.jsonl", *model, "--store", "kept", "-f", "json"))
    result = cli(command, "When?", "lines.jsonl", *model, "--store", "kept")
    assert notes(result) == []
    assert rankers[-1].stats.tokens_encoded == 0
    assert rankers[-1].profile.layout == "late"


def test_the_user_says_the_layout(
    cli: Cli, corpus: Path, model: tuple[str, ...], rankers: list[AttentionRanker]
) -> None:
    """Another layout than the store's counts where it is said, and a note tells what it cost."""
    summary(cli("index", "lines.jsonl", *model, "--store", "kept", "-f", "json"))
    options = ("--store", "kept", "--layout", "parallel")
    result = cli("rank", "When?", "lines.jsonl", *model, *options)
    assert rankers[-1].profile.layout == "parallel"
    n = N_LINES - 2  # but for the blank one, and the one that is there twice
    told = f"note: {n} of {n} chunks or windows were not in kept, and were read"
    assert notes(result) == [told]
    assert notes(cli("rank", "When?", "lines.jsonl", *model, *options)) == []


def test_another_layout_is_written(
    cli: Cli, corpus: Path, model: tuple[str, ...], rankers: list[AttentionRanker]
) -> None:
    """What is indexed in another layout is found in it, and the latest one is the store's."""
    for layout in ("late", "parallel"):
        options = ("--store", "kept", "--layout", layout, "-f", "json")
        assert summary(cli("index", "lines.jsonl", *model, *options))["layout"] == layout
    result = cli("rank", "When?", "lines.jsonl", *model, "--store", "kept")
    assert (rankers[-1].profile.layout, rankers[-1].stats.misses) == ("parallel", 0)
    assert notes(result) == []


def test_another_model_is_told(
    cli: Cli, corpus: Path, model: tuple[str, ...], tiny_folder: Path, tmp_path: Path
) -> None:
    """A store tells who wrote it; to rank from it with another model is told of, not refused."""
    summary(cli("index", "lines.jsonl", *model, "--store", "kept", "-f", "json"))
    (record,) = json.loads(cli("store", "kept", "-f", "json").stdout)
    assert record["written"] == [{"model": str(tiny_folder), "layout": "late"}]
    assert f"{tiny_folder} (late)" in cli("store", "kept").stdout
    other = tmp_path / "other"
    other.symlink_to(tiny_folder)  # the same, under a name that leads to it
    result = cli("rank", "When?", "lines.jsonl", "--model", other, *model[2:], "--store", "kept")
    assert notes(result) == []
    store = DiskStore(Path("kept"), None)
    store.tell(lambda _: b'[{"model": "some/model", "layout": "joint"}]')
    result = cli("rank", "When?", "lines.jsonl", *model, "--store", "kept")
    assert result.exit_code == 0
    assert "kept was written with some/model, and what another model reads" in result.stderr


def test_it_goes_on_where_it_stopped(
    cli: Cli, corpus: Path, model: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C it says what was done and ends with 130; the same command reads the rest."""
    read, batches = index_jobs.read_batch, []

    def interrupt(ranker: AttentionRanker, batch: list[Chunk]) -> Done:
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(read(ranker, batch))
        return batches[-1]

    arguments = ("index", "lines.jsonl", *model, "--store", "kept", "-f", "json")
    monkeypatch.setattr(index_jobs, "read_batch", interrupt)
    result = cli(*arguments)
    there = sum(done.read for done in batches)
    assert result.exit_code == INTERRUPTED
    assert result.stdout == ""
    assert result.stderr == (
        f"note: at least {there} of {N_LINES} chunks are in kept: "
        "the same command continues from there\n"
    )
    monkeypatch.setattr(index_jobs, "read_batch", read)
    done = summary(cli(*arguments))
    assert done["skipped"] >= there
    assert done["read"] + done["skipped"] == N_LINES - 1
    assert summary(cli(*arguments))["read"] == 0


def test_what_can_be_read_once(
    cli: Cli, corpus: Path, model: tuple[str, ...], rankers: list[AttentionRanker]
) -> None:
    """Stdin and a pipe that is named are counted and read, too."""
    text = Path("lines.jsonl").read_text()
    os.mkfifo("pipe.jsonl")
    writer = threading.Thread(target=lambda: Path("pipe.jsonl").write_text(text), daemon=True)
    writer.start()
    options = (*model, "--store", "kept", "-f", "json")
    done = summary(cli("index", "pipe.jsonl", *options))
    writer.join()
    assert (done["read"], done["skipped"]) == (N_LINES - 2, 1)
    done = summary(cli("index", *options, stdin=text))
    assert (done["read"], done["skipped"]) == (0, N_LINES - 1)
    done = summary(cli("index", *options, stdin="One paragraph.\n\nAnother one."))
    assert done["read"] == 2
    cli.json("rank", "When?", *model, "--store", "kept", stdin="One paragraph.\n\nAnother one.")
    assert rankers[-1].stats.misses == 0


def test_a_corpus_at_rest(
    cli: Cli, model: tuple[str, ...], corpus: Path, tmp_path: Path, rankers: list[AttentionRanker]
) -> None:
    """`index` writes files that another machine finds chunks in, and reads none of them again."""
    far, lines = (tmp_path / "far").as_uri(), corpus / "lines.jsonl"
    first = cli(
        "index", lines, *model, "--store", tmp_path / "one", "--shared-store", far, "-f", "json"
    )
    read = summary(first)["read"]
    assert read == N_LINES - 2
    assert f"{read} chunks more" in first.stderr
    assert len(list((tmp_path / "far").iterdir())) == 1
    second = cli(
        "index", lines, *model, "--store", tmp_path / "two", "--shared-store", far, "-f", "json"
    )
    assert summary(second)["read"] == 0
    found = cli(
        "rank", "When does it leave?", lines, *model, "--layout", "late",
        "--store", tmp_path / "three", "--shared-store", far,
    )  # fmt: skip
    assert found.exit_code == 0, found.stderr
    assert rankers[-1].stats.misses == 0
    assert rankers[-1].stats.shared_hits == read
    assert DiskStore(tmp_path / "three", None).stats().entries == read
