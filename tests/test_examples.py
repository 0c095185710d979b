"""The example programs, run as a user runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
QUESTION = "Who invented the theory of relativity?"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama_index_rerank.py", "langchain_rerank.py"])
def test_example(name: str) -> None:
    """Each prints a table for each question, Einstein comes first, and nothing warns."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "120"},
    )
    _, _, answer = done.stdout.partition(QUESTION)
    rows = re.findall(r"│ +(\d+) │ +(\d+) │ (0\.\d{3}) │ (.+?) +│", answer)
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"] * 4
    assert rows[0][3] == "Albert Einstein"
    assert any(now != before for now, before, *_ in rows)
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert "Reading chunks" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama_index_trim.py", "langchain_trim.py"])
def test_trimming_example(name: str) -> None:
    """Each prints what is left for each question with numbers, and where every number is from."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "120"},
    )
    answers = re.split(r"─+ .+ ─+\n", done.stdout)[1:]
    assert len(answers) == 3
    for answer in answers:
        markers = set(re.findall(r"\[(\d+)\]", answer))
        places = re.findall(r"^  (\d+)  .+, characters \d+ to \d+$", answer, re.MULTILINE)
        assert markers == set(places) != set()
    assert "theory of relativity" in answers[0]
    evidence = [float(found) for found in re.findall(r"^evidence (0\.\d+)$", done.stdout, re.M)]
    assert len(evidence) == 3
    assert min(evidence) == evidence[2]  # the question that no article answers
    assert "warning" not in (done.stdout + done.stderr).lower()


@pytest.mark.slow
def test_heat_map(tmp_path: Path) -> None:
    """It draws the best article in the terminal and writes a page with all of them."""
    page = tmp_path / "map.html"
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "heat_map.py"), str(page)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"^1\. Albedo$", done.stdout, re.MULTILINE)
    assert "not below the threshold" in done.stdout
    assert str(page) in done.stdout
    assert "warning" not in (done.stdout + done.stderr).lower()
    html = page.read_text(encoding="utf-8")
    n_articles = len((EXAMPLES / "data" / "articles.jsonl").read_text("utf-8").splitlines())
    assert html.count("<article ") == n_articles
    assert html.index(">Albedo<") < html.index(">Alchemy<")


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*_*.py")))
def test_example_is_short(name: str) -> None:
    """A program that shows how to use a thing is under 60 lines."""
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 60
