"""`attnmass explain`: what is drawn, where to, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_in_the_terminal(cli: Cli, texts: Path) -> None:
    """Without a file it is drawn as text: the question, every chunk, and the evidence."""
    result = cli("explain", "where is gold?", "docs")
    assert result.exit_code == 0, result.stderr
    for said in ("where is gold?", "gold", "Iron is grey.", "Evidence"):
        assert said in result.stdout


def test_a_page(cli: Cli, texts: Path) -> None:
    """A page has the chunks' text and nothing goes to standard output."""
    result = cli("explain", "where is gold?", "docs", "-o", "map.html")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "wrote map.html" in result.stderr
    page = Path("map.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    assert "where is gold?" in page


def test_numbers(cli: Cli, texts: Path) -> None:
    """A file of JSON has what is drawn; trimming is as in `attnmass trim`."""
    result = cli("explain", "gold", "docs", "--max-tokens", "60", "-n", "1", "-q", "-o", "map.json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(Path("map.json").read_text(encoding="utf-8"))
    assert found["query"] == "gold"
    asked = cli.stub.calls[-1].options
    assert asked["trim"].max_tokens == 60
    assert asked["top_n"] == 1
    assert asked["query_words"] is False


def test_without_options_of_trimming_nothing_is_trimmed(cli: Cli, texts: Path) -> None:
    """Only what is asked for is asked of the model."""
    assert cli("explain", "gold", "docs", "-o", "map.json").exit_code == 0
    assert cli.stub.calls[-1].options["trim"] is None


def test_little_evidence_is_drawn_and_told(cli: Cli, texts: Path) -> None:
    """With `raise` the page is there all the same, and the code says what it shows."""
    result = cli(
        "explain",
        "gold",
        "docs",
        "--evidence-threshold",
        "1",
        "--on-no-evidence",
        "raise",
        "-o",
        "map.html",
    )
    assert result.exit_code == 1
    assert Path("map.html").exists()


@pytest.mark.parametrize(
    ("code", "options", "said"),
    [
        (2, ["-o", "map.pdf"], ".html"),
        (2, ["-o", "map"], ".html"),
        (3, ["-o", "nowhere/map.html"], "no such folder"),
        (2, ["--head", "1-0,1-1"], "one head"),
        (2, ["--head", "x"], "x"),
        (2, ["--head", "7-7"], "was not read"),
        (2, ["--queries", "questions.jsonl"], "one question"),
    ],
)
def test_refused(cli: Cli, texts: Path, code: int, options: list[str], said: str) -> None:
    """What cannot be drawn is an error of a line."""
    assert said in cli.fails(code, "explain", "gold", "docs", *options)
