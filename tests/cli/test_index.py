"""`index`: a corpus is read into a store ahead, and found there by what ranks."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from logging import getLogger
from pathlib import Path
from typing import Any

import pytest
from transformers.utils import logging

from attnmass import AttentionRanker, HeadProfile
from attnmass.cli import index as index_command
from attnmass.cli import index_jobs, index_workers, reading, session
from attnmass.cli.index_jobs import Batches, Done
from attnmass.cli.index_workers import Team
from attnmass.cli.items import Item
from attnmass.cli.options import ChunkOptions
from attnmass.cli.units import duration, size
from attnmass.cluster import extra
from attnmass.fitting import first_use
from attnmass.profiles import kept
from attnmass.profiles.texts import Document
from attnmass.store import disk, statements
from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.text.chunk import Chunk
from tests.cli.conftest import Cli
from tests.fitting.test_quick import moved
from tests.tiny import tiny_model, tiny_tokenizer

USAGE, INPUT, FAILED, INTERRUPTED = 2, 3, 5, 130
N_LINES = 40


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """The command line over real models."""
    monkeypatch.setenv("COLUMNS", "100")
    logging.disable_progress_bar()  # as a process of our own does
    yield Cli()
    logging.enable_progress_bar()


@pytest.fixture
def rankers(monkeypatch: pytest.MonkeyPatch) -> list[AttentionRanker]:
    """The rankers that commands load in this process, the latest last."""
    found: list[AttentionRanker] = []
    load = session.load_ranker

    def remember(*args: Any, **options: Any) -> AttentionRanker:
        found.append(load(*args, **options))
        return found[-1]

    monkeypatch.setattr(session, "load_ranker", remember)
    return found


@pytest.fixture
def model(tiny_folder: Path) -> tuple[str, ...]:
    """Options that name a small model."""
    return ("--model", str(tiny_folder), "--heads", "1-0,1-3,2-1", "--dtype", "float32")


@pytest.fixture
def corpus(texts: Path) -> Path:
    """The texts, and JSON Lines with titles, two alike, one blank."""
    lines = [
        {"text": f"Train {n} leaves for the city at {n} past nine.", "title": f"Line {n % 7}"}
        for n in range(N_LINES - 2)
    ]
    lines += [lines[0], {"text": "  "}]
    (texts / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return texts


def summary(result: Any) -> dict[str, Any]:
    """What `index` says at its end."""
    assert result.exit_code == 0, result.stderr
    (record,) = json.loads(result.stdout)
    return dict(record)


def long_lines(corpus: Path) -> Path:
    """A file with 60 chunks that take some KB each."""
    lines = [json.dumps({"text": f"{n} trains leave. " * 40}) for n in range(60)]
    (corpus / "long.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return corpus / "long.jsonl"


def notes(result: Any) -> list[str]:
    """What is said beside a ranking, but for the line on the blank chunk."""
    assert result.exit_code == 0, result.stderr
    return [line for line in result.stderr.splitlines() if not line.endswith("blank")]


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
        f"note: at least {there} of {N_LINES} chunks are in kept: the same command goes on there\n"
    )
    monkeypatch.setattr(index_jobs, "read_batch", read)
    done = summary(cli(*arguments))
    assert done["skipped"] >= there
    assert done["read"] + done["skipped"] == N_LINES - 1
    assert summary(cli(*arguments))["read"] == 0


def test_jobs(
    cli: Cli, corpus: Path, model: tuple[str, ...], rankers: list[AttentionRanker]
) -> None:
    """Two processes read what one would, into the one store, and are gone at the end."""
    options = (*model, "--store", "kept", "-f", "json", "--jobs", "2")
    done = summary(cli("index", "docs", "lines.jsonl", *options))
    assert done["unreadable"] == 1
    assert done["read"] + done["skipped"] == N_LINES + 2
    assert rankers == []
    cli.json("rank", "When?", "docs", "lines.jsonl", *model, "--store", "kept")
    assert (rankers[-1].stats.tokens_encoded, rankers[-1].stats.misses) == (0, 0)


def test_a_worker_that_dies(
    cli: Cli, corpus: Path, model: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is killed ends the command with an error that names it; what is kept stays."""
    read, named = index_workers.read_by_workers, []

    def kill(team: Team, batches: Iterator[list[Chunk]]) -> Iterator[Done]:
        for done in read(team, batches):
            yield done
            process = team.members[1].process
            named.append(f"worker 2 (process {process.pid}) was killed by SIGKILL")
            os.kill(process.pid or 0, signal.SIGKILL)

    monkeypatch.setattr(index_command, "read_by_workers", kill)
    arguments = ("index", "lines.jsonl", *model, "--store", "kept")
    told = cli.fails(FAILED, *arguments, "--jobs", "2")
    assert named[0] in told
    assert "chunks are in kept: the same command goes on there" in told
    done = summary(cli(*arguments, "-f", "json"))
    assert done["skipped"] >= 8
    assert done["read"] + done["skipped"] == N_LINES - 1


def test_interrupted_with_workers(
    cli: Cli, corpus: Path, model: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches no worker: the command says what was done, and ends them."""
    read, teams = index_workers.read_by_workers, []

    def interrupt(team: Team, batches: Iterator[list[Chunk]]) -> Iterator[Done]:
        teams.append(team)
        for worker in team.members:
            os.kill(worker.process.pid or 0, signal.SIGINT)
        yield from islice(read(team, batches), 2)
        assert all(worker.process.is_alive() for worker in team.members)
        raise KeyboardInterrupt

    monkeypatch.setattr(index_command, "read_by_workers", interrupt)
    result = cli("index", "lines.jsonl", *model, "--store", "kept", "--jobs", "2")
    assert result.exit_code == INTERRUPTED
    assert "the same command goes on there" in result.stderr
    assert [worker.process.is_alive() for worker in teams[0].members] == [False, False]


def test_workers_tell_what_is_wrong_with_a_model(cli: Cli, corpus: Path) -> None:
    """What goes wrong in a worker is told as it is without workers."""
    arguments = ("index", "docs", "--model", str(corpus / "nowhere"), "--store", "kept")
    alone = cli.fails(4, *arguments)
    assert "no weights for" in alone
    assert cli.fails(4, *arguments, "--jobs", "2") == alone


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
    assert early.startswith("warning: the store may have 262 KB, which is too little")
    assert late.startswith(f"warning: {done['evicted']} chunks had to leave the store again")


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


def test_fit_first(
    cli: Cli, tiny_folder: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--fit` fits on the chunks, and what ranks with the profile that is named finds them."""
    heads, seen = tmp_path / "heads", list[Any]()
    heads.mkdir()

    def fit(_: Any, tokenizer: Any, default: HeadProfile, texts: Any) -> HeadProfile:
        seen.extend(texts)
        logger = getLogger("attnmass.fitting.first_use")
        logger.info("about 7 s")
        profile = HeadProfile.from_heads(
            [(1, 0)], model=default.model, layout=default.layout, source="fit"
        )
        (heads / "one.json").write_text(profile.to_json())
        return profile

    monkeypatch.setattr(first_use, "fit_at_first_use", fit)
    monkeypatch.setattr(kept, "kept_folder", lambda: heads)
    options = ("--model", tiny_folder, "--dtype", "float32", "--store", tmp_path / "store")
    lines = corpus / "lines.jsonl"
    result = cli("index", lines, *options, "--fit", "--format", "json")
    assert summary(result)["layout"] == "late"
    assert "about 7 s" in result.stderr
    assert f"rank with --profile {heads / 'one.json'}" in " ".join(result.stderr.split())
    assert Document("Line 3", ("Train 3 leaves for the city at 3 past nine.",)) in seen
    ranked = cli("rank", "train?", lines, *options, "--profile", heads / "one.json", "-f", "json")
    assert ranked.exit_code == 0
    assert "were not in" not in ranked.stderr
    with_jobs = cli("index", lines, *options, "--fit", "--jobs", "2", "--format", "json")
    assert summary(with_jobs)["read"] == 0


def test_fit_finds_heads_itself(cli: Cli, tiny_folder: Path, corpus: Path, tmp_path: Path) -> None:
    """Heads and texts that are named contradict `--fit`; chunks that are too few end it."""
    options = ("--model", tiny_folder, "--store", tmp_path / "store", "--fit")
    assert "leave out --profile and --heads" in cli.fails(
        USAGE, "index", corpus, *options, "--heads", "1-0"
    )
    told = cli.fails(USAGE, "index", corpus, *options, "--profile", "fit", "--fit-texts", corpus)
    assert "leave out" in told
    (tmp_path / "short.txt").write_text("No.")
    (tmp_path / "trained").mkdir()
    moved(tiny_model()).save_pretrained(tmp_path / "trained")
    tiny_tokenizer().save_pretrained(tmp_path / "trained")
    options = ("--model", tmp_path / "trained", *options[2:])
    told = cli.fails(INPUT, "index", tmp_path / "short.txt", *options)
    assert "0 sentences could be taken out" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shards", "2"), "--shards is for --ray"),
        (("--ray", "--layout", "parallel"), "layout late, not parallel"),
        (("--ray",), 'pip install "attnmass[ray]"'),
    ],
)
def test_what_ray_cannot_do_is_told_before_anything_starts(
    cli: Cli,
    corpus: Path,
    model: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    message: str,
) -> None:
    """Shards without Ray, another layout than shards have, or no Ray at all: a line says so."""
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    result = cli("index", "docs", *model, "--store", "kept", *options)
    assert result.exit_code == USAGE
    assert message in result.stderr
    assert not (corpus / "kept").exists()


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
