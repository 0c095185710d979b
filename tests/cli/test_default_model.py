"""The command line with the default model, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attnmass import AttentionRanker, Chunk
from attnmass.store.disk import DiskStore

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
QUESTION = "Who invented the theory of relativity?"
LINES = [
    {"id": "cow", "title": "Jersey cattle", "text": "A Jersey cow gives milk that is rich in fat."},
    {
        "id": "man",
        "title": "Albert Einstein",
        "text": "He was born in Ulm. In 1905 he invented the theory of relativity.",
    },
    {"id": "tower", "title": "Eiffel Tower", "text": "It was built from 1887 to 1889."},
]


def attnmass(*args: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command, with more in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "attnmass", *args],
        capture_output=True,
        text=True,
        input=stdin,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"} | env,
        timeout=600,
    )


@pytest.fixture(scope="module")
def lines() -> str:
    """Chunks as JSON Lines."""
    return "\n".join(map(json.dumps, LINES))


def test_rank_is_the_apis(lines: str) -> None:
    """The scores are those of the API, and nothing else is written anywhere."""
    options = ("-f", "json", "--dtype", "float32")
    done = attnmass("rank", QUESTION, *options, stdin=lines)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["chunks"][0]["id"] == "man"
    ranker = AttentionRanker.from_pretrained(dtype="float32")
    chunks = [Chunk(line["text"], line["title"]) for line in LINES]
    ranking = ranker.rank(QUESTION, chunks)
    by_index = {chunk["index"]: chunk["score"] for chunk in found["chunks"]}
    assert [by_index[i] for i in range(3)] == pytest.approx(ranking.scores, abs=1e-4)
    assert found["evidence"] == pytest.approx(ranking.evidence, abs=1e-3)


def test_first_load_is_quiet(lines: str, tmp_path: Path) -> None:
    """Where the weights have to be converted first, a pipe still gets nothing but the result."""
    done = attnmass("rank", QUESTION, stdin=lines, HF_HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_trim(lines: str) -> None:
    """What is left is the sentence that answers, under its title, within the budget."""
    done = attnmass("trim", QUESTION, "-t", "20", stdin=lines)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Albert Einstein\nIn 1905 he invented the theory of relativity.\n"


def test_doctor() -> None:
    """On a machine with the weights, the default model can be used."""
    done = attnmass("doctor")
    assert done.returncode == 0
    assert "proved" in done.stdout
    assert done.stderr == ""


def test_no_such_model(lines: str) -> None:
    """A model that is nowhere ends with 4 and the places that were looked at."""
    done = attnmass("rank", QUESTION, "-m", "nobody/nothing", stdin=lines)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: no weights for 'nobody/nothing': looked at")
    assert len(done.stderr.splitlines()) == 2


def test_unknown_profile_is_a_warning(lines: str, tiny_folder: Path) -> None:
    """A model without a head profile is told of in one line, spelled as options, on stderr."""
    done = attnmass("rank", QUESTION, "-m", str(tiny_folder), stdin=lines)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr.startswith("warning: no head profile ships for this llama model")
    assert "--profile" in done.stderr
    assert "Traceback" not in done.stderr


def test_index(tmp_path: Path) -> None:
    """Killed underway, `index` goes on where it was; `rank` then reads nothing of the articles."""
    articles = (ROOT / "examples" / "data" / "articles.jsonl").read_text().splitlines()[:4]
    records = [json.loads(line) for line in articles]
    lines = [{"title": one["title"], "text": one["text"][:4000]} for one in records]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, lines)))
    paths = (str(tmp_path / "corpus.jsonl"), "--split", "600", "--store", str(tmp_path / "kept"))
    first = subprocess.Popen(
        [sys.executable, "-m", "attnmass", "index", *paths],
        env=os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
    )
    kept = DiskStore(tmp_path / "kept", None)
    while not kept.stats().entries and first.poll() is None:
        time.sleep(0.1)
    first.kill()
    assert first.wait() < 0
    there = kept.stats().entries
    done = attnmass("index", *paths, "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = json.loads(done.stdout)
    assert (record["model"], record["layout"]) == ("smollm2-135m", "late")
    assert record["skipped"] >= there > 0
    assert record["read"] + record["skipped"] == record["chunks"] > 20
    assert 200 < record["bytes_per_token"] < 420
    done = attnmass("rank", "What did Jonathan Swift propose?", *paths, "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["chunks"][0]["title"] == "A Modest Proposal"
    assert found["profile"]["layout"] == "late"
