"""`attnmass calibrate`: a profile whose relevance is measured against one's own texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnmass import load_profile
from attnmass.cli.errors import ExitCode
from tests.cli.conftest import Cli
from tests.engine.relevance import PARAGRAPHS, QUERY, profile


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Ten lines, with titles."""
    lines = [{"text": text, "title": f"No. {i}"} for i, text in enumerate(PARAGRAPHS[20:30])]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "few.jsonl").write_text("\n".join(map(json.dumps, lines[:3])))
    (tmp_path / "ships.json").write_text(profile().to_json())
    return tmp_path


def test_writes_a_profile_that_ranks(
    cli: Cli, corpus: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has the sample, and relevance by it is another number."""
    monkeypatch.undo()  # the real ranker
    monkeypatch.chdir(corpus)
    model = ("--model", tiny_folder, "--dtype", "float32")
    result = cli("calibrate", "texts.jsonl", *model, "--profile", "ships.json", "--out", "own.json")
    assert result.exit_code == 0, result.stderr
    assert "measured against 10 of 10 texts; rank with --profile own.json" in result.stderr
    found = load_profile("own.json")
    assert found.background[0] == f"No. 0\n{PARAGRAPHS[20]}"
    told = [
        cli.json("rank", QUERY, "texts.jsonl", *model, "--profile", name)["chunks"][0]["relevance"]
        for name in ("ships.json", "own.json")
    ]
    assert told[0] != told[1]
    few = cli("calibrate", "few.jsonl", *model, "--profile", "ships.json", "--out", "own.json")
    assert few.exit_code == ExitCode.USAGE
    assert "at least 8 different texts, not 3" in few.stderr


def test_where_it_cannot_be_written(cli: Cli, corpus: Path) -> None:
    """Said before a model is loaded."""
    texts = corpus / "texts.jsonl"
    assert "a folder" in cli.fails(ExitCode.USAGE, "calibrate", texts, "--out", corpus)
    missing = corpus / "none" / "own.json"
    assert "no such folder" in cli.fails(ExitCode.INPUT, "calibrate", texts, "--out", missing)
    assert cli.loaded == []
