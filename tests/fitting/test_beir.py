"""Labelled queries from a corpus with labels: BEIR folders and TREC's files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from attnmass.fitting import DataError, read_data

CORPUS = [
    '{"_id": "d1", "title": "Einstein", "text": "He developed the theory of relativity."}',
    '{"_id": "d2", "title": "", "text": "The theory of music and of trains."}',
    '{"_id": "d3", "text": "A river runs through the city."}',
    '{"_id": "d4", "text": "  "}',
]
QUERIES = [
    '{"_id": "q1", "text": "Who developed the theory of relativity?"}',
    '{"_id": "q2", "text": "Which river runs through a city of music?"}',
    '{"_id": "q3", "text": "zebra"}',
]
QRELS = ["query-id\tcorpus-id\tscore", "q1\td1\t2", "q1\td3\t0", "q2\td3\t1", "q3\td2\t1"]


def write(path: Path, lines: list[str]) -> Path:
    """A file of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """A BEIR folder."""
    folder = tmp_path / "tiny"
    write(folder / "corpus.jsonl", CORPUS)
    write(folder / "queries.jsonl", QUERIES)
    write(folder / "qrels" / "test.tsv", QRELS)
    return folder


def ids(folder: Path, **options: object) -> dict[str, dict[str, float]]:
    """The candidates of each query with their labels."""
    data = read_data(folder, **options)  # type: ignore[arg-type]
    return {query.id: {one.id: one.relevant for one in query.chunks} for query in data.queries}


def test_folder(beir: Path) -> None:
    """Candidates are BM25's, labelled; a query that finds nothing relevant is left out and told."""
    assert ids(beir) == {
        "q1": {"d1": 2, "d2": 0, "d3": 0},
        "q2": {"d1": 0, "d2": 0, "d3": 1},
    }
    data = read_data(beir)
    assert data.counts == {"tiny": 2}
    assert any("1 of 3 queries left out" in note for note in data.notes)
    first = next(one for one in data.queries[0].chunks if one.id == "d1")
    assert (first.title, first.text) == ("Einstein", "He developed the theory of relativity.")


def test_run_decides_on_candidates(beir: Path, tmp_path: Path) -> None:
    """With a run the candidates are its best by score, and only as many as asked for."""
    run = write(
        tmp_path / "run.txt",
        ["q1 Q0 d3 1 0.5 me", "q1 Q0 d1 2 9.5 me", "q1 Q0 d2 3 0.7 me", "q9 Q0 d1 1 1 me"],
    )
    assert ids(beir, run=run, candidates=2) == {"q1": {"d1": 2, "d2": 0}}
    assert ids(beir, run=run) == {"q1": {"d1": 2, "d2": 0, "d3": 0}}


def test_splits(beir: Path) -> None:
    """Train comes before test where the user does not say; an unknown split names those there."""
    write(beir / "qrels" / "train.tsv", [QRELS[0], "q2\td3\t1"])
    assert set(ids(beir)) == {"q2"}
    assert set(ids(beir, split="test")) == {"q1", "q2"}
    with pytest.raises(DataError, match=r"no qrels/dev\.tsv: there are test, train"):
        read_data(beir, split="dev")


def test_trec(tmp_path: Path) -> None:
    """Queries by tab, TREC's labels with a column of zeros, and a packed corpus."""
    corpus = tmp_path / "corpus.jsonl.gz"
    corpus.write_bytes(gzip.compress("\n".join(CORPUS).encode()))
    qrels = write(tmp_path / "qrels.txt", ["q1 0 d1 1", "q1 0 d2 -2", "q7 0 d1 1"])
    queries = write(tmp_path / "topics.tsv", ["q1\tWho developed the theory of relativity?"])
    data = read_data(queries, qrels=qrels, corpus=corpus)
    assert data.counts == {"topics": 1}
    assert {one.id: one.relevant for one in data.queries[0].chunks}.items() >= {
        ("d1", 1.0),
        ("d2", 0.0),
    }
    assert any("labels of 1 queries that are not there" in note for note in data.notes)


@pytest.mark.parametrize(
    ("file", "lines", "match"),
    [
        ("corpus.jsonl", [*CORPUS, CORPUS[0]], r"corpus\.jsonl:5: id 'd1' again, first at .*:1"),
        ("corpus.jsonl", [*CORPUS, "{"], r"corpus\.jsonl:5: not JSON"),
        ("corpus.jsonl", ['{"text": "x"}'], r"corpus\.jsonl:1: no _id"),
        ("corpus.jsonl", ['{"_id": "x"}'], r"corpus\.jsonl:1: no text"),
        ("corpus.jsonl", ['{"_id": "x", "text": 5}'], r"corpus\.jsonl:1: text is a number"),
        ("corpus.jsonl", [CORPUS[3]], "none of the documents"),
        ("queries.jsonl", [*QUERIES, QUERIES[1]], r"queries\.jsonl:4: id 'q2' again"),
        ("queries.jsonl", ['{"_id": "q1"}'], r"queries\.jsonl:1: no text"),
        ("queries.jsonl", ['{"_id": "q1", "text": " "}'], r"queries\.jsonl:1: the query is blank"),
        ("queries.jsonl", [], r"queries\.jsonl: empty"),
        ("qrels/test.tsv", [*QRELS, "q1\td1\t1"], r"test\.tsv:6: query q1 and document d1 again"),
        ("qrels/test.tsv", [QRELS[0], "q1 d1"], r"test\.tsv:2: 2 columns"),
        ("qrels/test.tsv", [QRELS[0], "q1\td1\tx"], r"test\.tsv:2: the label is 'x'"),
        ("qrels/test.tsv", [QRELS[0], "q1\td1\t0"], r"test\.tsv: no positives"),
        ("qrels/test.tsv", [QRELS[0], "q3\td2\t1"], "no query has a relevant document"),
    ],
)
def test_errors_name_the_line(beir: Path, file: str, lines: list[str], match: str) -> None:
    """What is wrong in a file of a folder is told with the file and the line."""
    write(beir / file, lines)
    with pytest.raises(DataError, match=match):
        read_data(beir)


@pytest.mark.parametrize("file", ["corpus.jsonl", "queries.jsonl"])
def test_missing_files(beir: Path, file: str) -> None:
    """A folder that lacks a file is told what a BEIR folder has."""
    (beir / file).unlink()
    with pytest.raises(DataError, match=f"no {file}: a BEIR folder has"):
        read_data(beir)


def test_bad_runs(beir: Path, tmp_path: Path) -> None:
    """A run's lines are checked, too."""
    with pytest.raises(DataError, match=r"run\.txt:1: 3 columns: a run is"):
        read_data(beir, run=write(tmp_path / "run.txt", ["q1 d1 5"]))
    with pytest.raises(DataError, match=r"run\.txt:1: the score is 'inf'"):
        read_data(beir, run=write(tmp_path / "run.txt", ["q1 Q0 d1 1 inf me"]))
