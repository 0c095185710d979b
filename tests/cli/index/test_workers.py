"""`index --jobs` and `--ray`: others read, and it ends with them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from attnmass import AttentionRanker
from attnmass.cli import index as index_command
from attnmass.cli import index_workers
from attnmass.cli.index_jobs import Done
from attnmass.cli.index_workers import Team
from attnmass.cluster import extra
from attnmass.text.chunk import Chunk
from tests.cli.conftest import Cli
from tests.cli.index.conftest import (
    FAILED,
    INTERRUPTED,
    N_LINES,
    USAGE,
    summary,
)


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
    assert "chunks are in kept: the same command continues from there" in told
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
    assert "the same command continues from there" in result.stderr
    assert [worker.process.is_alive() for worker in teams[0].members] == [False, False]


def test_workers_tell_what_is_wrong_with_a_model(cli: Cli, corpus: Path) -> None:
    """What goes wrong in a worker is told as it is without workers."""
    arguments = ("index", "docs", "--model", str(corpus / "nowhere"), "--store", "kept")
    alone = cli.fails(4, *arguments)
    assert "no weights for" in alone
    assert cli.fails(4, *arguments, "--jobs", "2") == alone


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
