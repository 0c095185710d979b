"""Labelled queries from JSON Lines: what is read, and what is refused with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from attnmass.fitting import DataError, LabelledData, read_data
from attnmass.fitting.queries.data import check_enough, digest

GOOD: dict[str, Any] = {
    "id": "q",
    "query": "Who developed relativity?",
    "answer": ["Einstein", "Albert Einstein"],
    "chunks": [
        {"id": "a", "title": "Paris", "text": "Paris\nIt is a city.", "relevant": 0},
        {
            "id": "b",
            "title": "Albert Einstein",
            "text": "He developed relativity. He liked music.",
            "relevant": 1,
            "sentences": [[0, 24, 1], [25, 40, 0]],
        },
        {"text": "Trains run.", "relevant": False},
    ],
}


def changed(**changes: Any) -> dict[str, Any]:
    """A good line with some fields changed, or left out where `...`."""
    data = {**GOOD, **changes}
    return {name: value for name, value in data.items() if value is not ...}


def chunk(**changes: Any) -> list[dict[str, Any]]:
    """Good chunks, the second with some fields changed, or left out where `...`."""
    data = {**GOOD["chunks"][1], **changes}
    return [GOOD["chunks"][0], {k: v for k, v in data.items() if v is not ...}]


def written(path: Path, *lines: Any) -> Path:
    """A file of lines, objects as JSON."""
    text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines)
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_read(tmp_path: Path) -> None:
    """Texts, titles that the text does not begin with, labels, sentences, answers and ids."""
    data = read_data(written(tmp_path / "some.jsonl", GOOD, "", changed(id=7)))
    assert data.counts == {"some": 2}
    query = data.queries[0]
    assert (query.query, query.id, data.queries[1].id) == (GOOD["query"], "q", "7")
    assert query.answers == ("Einstein", "Albert Einstein")
    assert query.place.endswith("some.jsonl:1")
    assert data.queries[1].place.endswith("some.jsonl:3")
    by_id = {one.id: one for one in query.chunks}
    assert set(by_id) == {"a", "b", "[2]"}
    assert by_id["a"].title is None
    assert by_id["b"].title == "Albert Einstein"
    assert by_id["b"].sentences == ((0, 24, True), (25, 40, False))
    assert [by_id[name].relevant for name in ("a", "b", "[2]")] == [0, 1, 0]
    assert not query.has_sentences


def test_order_tells_nothing(tmp_path: Path) -> None:
    """Chunks are shuffled, the same way each time, and otherwise for another seed."""
    chunks = [{"text": f"text {i}", "relevant": int(i == 0)} for i in range(12)]
    path = written(tmp_path / "some.jsonl", *(changed(id=i, chunks=chunks) for i in range(20)))
    first = [query.relevant.index(1) for query in read_data(path).queries]
    assert first == [query.relevant.index(1) for query in read_data(path).queries]
    assert first != [query.relevant.index(1) for query in read_data(path, seed=1).queries]
    assert len(set(first)) > 5


def test_gzip_objects_and_several(tmp_path: Path) -> None:
    """The same queries come from gzip and from objects; several files are sets of their own."""
    plain = written(tmp_path / "plain.jsonl", GOOD)
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    one, other = read_data(plain).queries[0], read_data(packed).queries[0]
    assert one.chunks == other.chunks == read_data([GOOD]).queries[0].chunks
    both = read_data([plain, packed])
    assert both.sets == ("plain", "packed")
    assert read_data(both) is both


def test_limit(tmp_path: Path) -> None:
    """A limit takes the first queries of each set, and not of all together."""
    paths = [
        written(tmp_path / f"{name}.jsonl", *(changed(id=i) for i in range(5))) for name in "ab"
    ]
    for data in (read_data(paths, limit=2), read_data(read_data(paths), limit=2)):
        assert data.counts == {"a": 2, "b": 2}
        assert [query.id for query in data.queries] == ["0", "1", "0", "1"]


def test_digest_is_of_what_the_model_reads() -> None:
    """Labels may change without another capture; texts, titles and sentences' places may not."""
    base = digest(read_data([GOOD]).queries[0])
    same = changed(
        chunks=[{**one, "relevant": int(i == 2)} for i, one in enumerate(GOOD["chunks"])]
    )
    assert digest(read_data([same]).queries[0]) == base
    relabelled = changed(chunks=[*chunk(sentences=[[0, 24, 0], [25, 40, 1]]), GOOD["chunks"][2]])
    assert digest(read_data([relabelled]).queries[0]) == base
    for other in (
        changed(query="Who?"),
        changed(
            chunks=[*chunk(text="He developed relativity! He liked music."), GOOD["chunks"][2]]
        ),
        changed(chunks=[*chunk(title="Someone"), GOOD["chunks"][2]]),
        changed(chunks=[*chunk(sentences=[[0, 23, 1], [25, 40, 0]]), GOOD["chunks"][2]]),
        changed(chunks=[*chunk(sentences=[]), GOOD["chunks"][2]]),
        changed(chunks=[*chunk(sentences=...), GOOD["chunks"][2]]),
    ):
        assert digest(read_data([other]).queries[0]) != base


BAD = {
    "broken": ('{"query": "x", ', "not JSON: Expecting property name"),
    "nan": ('{"query": NaN}', "not JSON: NaN is not a JSON number"),
    "list": ("[1]", "a list, not an object"),
    "no query": (changed(query=...), "no query: a line is"),
    "query of another type": (changed(query=5), "query is a number, not a string"),
    "blank query": (changed(query="  "), "the query is blank"),
    "no chunks": (changed(chunks=...), "no chunks: a line is"),
    "chunks of another type": (changed(chunks="x"), "chunks is a string, not a list"),
    "empty": (changed(chunks=[]), "no chunks: an order needs at least two"),
    "one chunk": (changed(chunks=chunk()[1:]), "one chunk: an order needs at least two"),
    "no positives": (changed(chunks=chunk(relevant=0)), "no positives: none of the 2 chunks"),
    "chunk of another type": (changed(chunks=[5, 6]), r"chunks\[0\]: a number, not an object"),
    "no text": (changed(chunks=chunk(text=...)), r"chunks\[1\]: no text"),
    "text of another type": (changed(chunks=chunk(text=None)), r"chunks\[1\]: text is null"),
    "empty text": (changed(chunks=chunk(text=" ")), r"chunks\[1\]: the text is empty"),
    "title": (changed(chunks=chunk(title=5)), r"chunks\[1\]: title is a number"),
    "no label": (changed(chunks=chunk(relevant=...)), r"chunks\[1\]: no label"),
    "label of another type": (changed(chunks=chunk(relevant="yes")), "relevant is a string, not 0"),
    "negative label": (changed(chunks=chunk(relevant=-1)), "relevant is -1, not 0 or above"),
    "huge label": (changed(chunks=chunk(relevant=10**400)), "not 0 or above"),
    "twice": (changed(chunks=chunk(id="a")), r"chunks\[1\]: id 'a' again, first at chunks\[0\]"),
    "id": (changed(chunks=chunk(id=[])), r"chunks\[1\]: id is a list, not a string"),
    "id of the query": (changed(id=True), "id is a boolean, not a string"),
    "sentences": (changed(chunks=chunk(sentences="x")), "sentences is a string, not a list"),
    "sentence": (changed(chunks=chunk(sentences=[[0, 5]])), r"sentences\[0\] is not \[start, end"),
    "half a sentence": (changed(chunks=chunk(sentences=[[0, 1.5, 1]])), r"sentences\[0\] is not"),
    "outside": (changed(chunks=chunk(sentences=[[0, 99, 1]])), "0 to 99 is not in a text of 40"),
    "backwards": (changed(chunks=chunk(sentences=[[5, 5, 1]])), "5 to 5 is not in a text"),
    "sentence's label": (changed(chunks=chunk(sentences=[[0, 5, 2]])), "the label is 2, not 0"),
    "answer": (changed(answer=[1]), "answer is neither a string nor a list of strings"),
    "second id": (GOOD, r"id 'q' again, first at .*some\.jsonl:1$"),
}


@pytest.mark.parametrize(("line", "match"), BAD.values(), ids=BAD)
def test_errors_name_the_line(tmp_path: Path, line: Any, match: str) -> None:
    """What is wrong is told with the file and the line, blank lines counted."""
    path = written(tmp_path / "some.jsonl", GOOD, "", line)
    with pytest.raises(DataError, match=rf"some\.jsonl:3: (chunks\[\d\]: )?.*{match}"):
        read_data(path)


def test_queries_without_negatives_are_left_out(tmp_path: Path) -> None:
    """A query of which all chunks are relevant has no wrong order: it is left out, and noted."""
    lone = changed(id="lone", chunks=[{"text": "a", "relevant": 1}, {"text": "b", "relevant": 2}])
    path = written(tmp_path / "some.jsonl", GOOD, lone)
    data = read_data(path)
    assert [query.id for query in data.queries] == ["q"]
    assert len(data.notes) == 1
    assert "1 of 2 queries left out" in data.notes[0]
    assert "some.jsonl:2" in data.notes[0]
    with pytest.raises(DataError, match=r"only\.jsonl:1: no negatives"):
        read_data(written(tmp_path / "only.jsonl", lone))


def test_errors_of_objects_name_the_index() -> None:
    """Objects have no lines, and are told apart by their index."""
    with pytest.raises(DataError, match=r"data\[1\]: no query"):
        read_data([GOOD, {}])
    with pytest.raises(DataError, match=r"data\[1\]: list, not a dict"):
        read_data([GOOD, []])  # type: ignore[list-item]


def test_files_that_are_none(tmp_path: Path) -> None:
    """What cannot be read, or has nothing in it, is told with the file's name."""
    with pytest.raises(DataError, match=r"none\.jsonl: no such file"):
        read_data(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"empty\.jsonl: empty"):
        read_data(written(tmp_path / "empty.jsonl", "", " "))
    with pytest.raises(DataError, match="data: empty"):
        read_data([])
    (tmp_path / "bytes.jsonl").write_bytes(json.dumps(GOOD).encode() + b"\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"bytes\.jsonl:2: not UTF-8"):
        read_data(tmp_path / "bytes.jsonl")
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-12])
    with pytest.raises(DataError, match=r"cut\.jsonl\.gz: cut off or no gzip, after line"):
        read_data(cut)
    with pytest.raises(TypeError, match="data must be a path"):
        read_data(GOOD)
    twins = [written(tmp_path / one / "x.jsonl", GOOD) for one in _folders(tmp_path)]
    with pytest.raises(DataError, match="x: two sets have this name"):
        read_data(twins)


def _folders(path: Path) -> list[Path]:
    found = [path / "one", path / "two"]
    for one in found:
        one.mkdir()
    return found


def test_too_few() -> None:
    """Five queries are too few to select on some and judge on others; six may do."""
    queries = read_data([changed(id=i) for i in range(6)])
    check_enough(queries)
    with pytest.raises(DataError, match="5 labelled queries, and at least 6"):
        check_enough(LabelledData(queries.queries[:5], queries.sets[:5]))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"candidates": 1}, "candidates must be at least 2"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"qrels": "x"}, "qrels=... and corpus=... go together"),
        ({"run": "x"}, "run is for BEIR folders"),
        ({"split": "test"}, "split is for BEIR folders"),
    ],
)
def test_options_that_contradict(tmp_path: Path, options: dict[str, Any], match: str) -> None:
    """Options that do not fit the data are an error that says what they are for."""
    with pytest.raises(ValueError, match=match):
        read_data(written(tmp_path / "some.jsonl", GOOD), **options)
