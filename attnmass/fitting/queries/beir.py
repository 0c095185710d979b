"""Labelled queries from a corpus: BEIR folders, and TREC qrels with a corpus."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attnmass.fitting.errors import DataError
from attnmass.fitting.queries.bm25 import Index
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery
from attnmass.fitting.queries.jsonl import check_labels
from attnmass.fitting.queries.lines import kind, read_json_lines, read_lines

# Query id, then document id: the label, or the score of a run.
Table = dict[str, dict[str, float]]

_SPLITS = ("train", "dev", "test")  # the first one present is taken


@dataclass(frozen=True, slots=True)
class Options:
    """How a corpus and its labels are read; see `attnmass.fitting.queries.data.read_data`."""

    qrels: Path | None = None
    corpus: Path | None = None
    run: Path | None = None
    split: str | None = None
    candidates: int = 20

    def refuse(self, what: str) -> None:
        """Raise `ValueError` for an option that does not apply to `what`, which has chunks."""
        given = {"qrels": self.qrels, "run": self.run, "split": self.split}
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{name} is for BEIR folders, or for queries with qrels and corpus, and "
                    f"{what} brings its own chunks: leave it out"
                )


@dataclass(frozen=True, slots=True)
class _Document:
    text: str
    title: str | None


def read_folder(folder: Path, options: Options) -> tuple[list[LabelledQuery], list[str]]:
    """The queries of a BEIR folder: `corpus.jsonl`, `queries.jsonl` and `qrels/*.tsv`.

    Returns:
        The queries with a positive and a negative among their candidates, and notes.

    Raises:
        DataError: If a file is missing or a line malformed.
    """
    corpus, queries = _file(folder, "corpus.jsonl"), _file(folder, "queries.jsonl")
    labels = _read_qrels(_qrels_of(folder, options.split))
    return _join(folder, _read_queries(queries), corpus, labels, options)


def read_trec(path: Path, options: Options) -> tuple[list[LabelledQuery], list[str]]:
    """The queries of a file with separate labels and texts; returns and raises as `read_folder`.

    Args:
        path: Queries: JSON Lines, or `id<TAB>text` lines.
        options: With `qrels` and `corpus`.
    """
    if options.split is not None:
        raise ValueError("split is for BEIR folders: leave it out, or pass the folder as data")
    if options.qrels is None or options.corpus is None:
        raise ValueError("pass qrels and corpus with the queries")
    queries = _read_queries(path)
    return _join(path, queries, options.corpus, _read_qrels(options.qrels), options)


def _join(
    source: Path, queries: dict[str, str], corpus: Path, labels: Table, options: Options
) -> tuple[list[LabelledQuery], list[str]]:
    """Candidates of each labelled query, with labels and texts."""
    wanted = {name: text for name, text in queries.items() if name in labels}
    notes = []
    strangers = [name for name in labels if name not in queries]
    if strangers:
        notes.append(f"{source}: labels of {len(strangers)} queries that are not there")
    run = None if options.run is None else _read_run(options.run)
    documents = _read_corpus(corpus, _named(run, wanted))
    fetch = _bm25(documents) if run is None else _of_run(run, documents)
    found: list[LabelledQuery] = []
    without = 0
    for name, text in wanted.items():
        scores = fetch(name, text)
        best = sorted(scores, key=lambda one: (-scores[one], one))[: options.candidates]
        chunks = tuple(
            LabelledChunk(
                documents[one].text,
                # Some TREC labels mark spam by numbers below 0.
                max(0.0, labels[name].get(one, 0.0)),
                one,
                documents[one].title,
            )
            for one in best
        )
        query = LabelledQuery(text, chunks, name, f"{source}: query {name}")
        try:
            check_labels(query)
        except DataError:
            without += 1
            continue
        if query.all_relevant:
            without += 1
        else:
            found.append(query)
    if without:
        notes.append(
            f"{source}: {without} of {len(wanted)} queries left out: their {options.candidates} "
            "candidates are not both relevant and irrelevant ones"
        )
    if not found:
        raise DataError(
            f"{source}: no query has a relevant document and another among its "
            f"{options.candidates} candidates: pass a run, or more candidates"
        )
    return found, notes


def _bm25(documents: dict[str, _Document]) -> Callable[[str, str], dict[str, float]]:
    names = list(documents)
    index = Index([f"{one.title or ''}\n{one.text}" for one in documents.values()])

    def fetch(_: str, query: str) -> dict[str, float]:
        scores = index(query)
        best = np.argsort(-scores, kind="stable")[:1000]
        return {names[i]: float(scores[i]) for i in best if scores[i] > 0}

    return fetch


def _of_run(run: Table, documents: dict[str, _Document]) -> Callable[[str, str], dict[str, float]]:
    def fetch(name: str, _: str) -> dict[str, float]:
        return {one: score for one, score in run.get(name, {}).items() if one in documents}

    return fetch


def _named(run: Table | None, queries: Iterable[str]) -> set[str] | None:
    """The documents that a run needs; `None` for all."""
    if run is None:
        return None
    return {name for query in queries for name in run.get(query, {})}


def _read_corpus(path: Path, wanted: set[str] | None) -> dict[str, _Document]:
    documents: dict[str, _Document] = {}
    places: dict[str, str] = {}
    for place, data in read_json_lines(path):
        name, text = _id(data, place), data.get("text")
        if not isinstance(text, str):
            what = "no text" if "text" not in data else f"text is {kind(text)}, not a string"
            raise DataError(f"{place}: {what}")
        title = data.get("title")
        if not (title is None or isinstance(title, str)):
            raise DataError(f"{place}: title is {kind(title)}, not a string")
        if name in places:
            raise DataError(f"{place}: id {name!r} again, first at {places[name]}")
        places[name] = place
        if text.strip() and (wanted is None or name in wanted):
            documents[name] = _Document(text, title if title and title.strip() else None)
    if not documents:
        raise DataError(f"{path}: none of the documents that are needed has a text")
    return documents


def _read_queries(path: Path) -> dict[str, str]:
    """Queries by id, from JSON Lines or from `id<TAB>text`."""
    queries: dict[str, str] = {}
    places: dict[str, str] = {}
    tabbed = path.name.removesuffix(".gz").endswith((".tsv", ".txt"))
    for place, name, text in _tabbed(path) if tabbed else _listed(path):
        if not text.strip():
            raise DataError(f"{place}: the query is blank")
        if name in places:
            raise DataError(f"{place}: id {name!r} again, first at {places[name]}")
        places[name] = place
        queries[name] = text
    return queries


def _tabbed(path: Path) -> Iterable[tuple[str, str, str]]:
    for place, line in read_lines(path):
        name, tab, text = line.partition("\t")
        if not (tab and name.strip()):
            raise DataError(f"{place}: not an id, a tab and a query")
        yield place, name.strip(), text


def _listed(path: Path) -> Iterable[tuple[str, str, str]]:
    for place, data in read_json_lines(path):
        text = data.get("text", data.get("query"))
        if not isinstance(text, str):
            raise DataError(f'{place}: no text: a line is {{"_id": "...", "text": "..."}}')
        yield place, _id(data, place), text


def _read_qrels(path: Path) -> Table:
    """Labels: BEIR's three columns under a header, or TREC's `query 0 document label`."""
    labels: Table = {}
    for number, (place, line) in enumerate(read_lines(path)):
        cells = line.split()
        if number == 0 and cells[0] == "query-id":
            continue
        if len(cells) == 4:
            cells = [cells[0], *cells[2:]]
        if len(cells) != 3:
            raise DataError(
                f"{place}: {len(cells)} columns: labels are lines of query, document and label, or "
                "of query, 0, document and label"
            )
        _put(labels, cells[0], cells[1], cells[2], place, "label")
    if not any(label > 0 for found in labels.values() for label in found.values()):
        raise DataError(f"{path}: no positives: no label is above 0")
    return labels


def _read_run(path: Path) -> Table:
    """Candidates: TREC's `query Q0 document rank score tag`."""
    run: Table = {}
    for place, line in read_lines(path):
        cells = line.split()
        if len(cells) not in (5, 6):
            raise DataError(
                f"{place}: {len(cells)} columns: a run is lines of query, Q0, document, rank, "
                "score and name"
            )
        _put(run, cells[0], cells[2], cells[4], place, "score")
    return run


def _put(table: Table, query: str, document: str, value: str, place: str, what: str) -> None:
    found = table.setdefault(query, {})
    if document in found:
        raise DataError(f"{place}: query {query} and document {document} again")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{place}: the {what} is {value!r}, not a number")
    found[document] = number


def _id(data: dict[str, Any], place: str) -> str:
    found = data.get("_id", data.get("id"))
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        raise DataError(f"{place}: no _id")
    return str(found)


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(
        f"{folder}: no {name}: a BEIR folder has corpus.jsonl, queries.jsonl and qrels/*.tsv"
    )


def _qrels_of(folder: Path, split: str | None) -> Path:
    """The labels of a split; by default of the only one, or the first of train, dev and test."""
    found = {path.stem: path for path in sorted((folder / "qrels").glob("*.tsv"))}
    if not found:
        raise DataError(f"{folder}: no qrels/*.tsv")
    if split is None:
        known = [name for name in _SPLITS if name in found]
        split = known[0] if known else next(iter(found))
    if split not in found:
        raise DataError(f"{folder}: no qrels/{split}.tsv: there are {', '.join(found)}")
    return found[split]
