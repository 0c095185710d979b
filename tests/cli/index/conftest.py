"""A small model, a corpus, and what `index` says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers.utils import logging

from attnmass import AttentionRanker
from attnmass.cli import session
from tests.cli.conftest import Cli

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
