"""Labelled queries, whatever they were read from."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from attnmass.fitting.defaults import CANDIDATES
from attnmass.fitting.errors import DataError
from attnmass.fitting.queries import beir, jsonl
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery

LEAST_QUERIES = 6  # fewer cannot be split into folds that mean anything

Source = str | PathLike[str] | Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class LabelledData:
    """Labelled queries of one or more sets, which are weighted equally.

    Attributes:
        queries: All queries, set after set.
        sets: The name of each query's set.
        notes: What was left out, in sentences.
    """

    queries: tuple[LabelledQuery, ...]
    sets: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many queries each set has, in order."""
        return {name: len(list(found)) for name, found in groupby(self.sets)}

    def joined(self, other: LabelledData) -> LabelledData:
        """The same with the sets of `other` after its own.

        Raises:
            DataError: If two sets have the same name.
        """
        for name in other.counts:
            if name in self.sets:
                raise DataError(f"{name}: two sets have this name: rename a file, or join them")
        return LabelledData(
            self.queries + other.queries, self.sets + other.sets, self.notes + other.notes
        )

    def head(self, limit: int) -> LabelledData:
        """The first `limit` queries of each set."""
        kept: list[int] = []
        for name in self.counts:
            kept += [i for i, found in enumerate(self.sets) if found == name][:limit]
        return replace(
            self,
            queries=tuple(self.queries[i] for i in kept),
            sets=tuple(self.sets[i] for i in kept),
        )


def read_data(
    data: Source | Sequence[str | PathLike[str]] | LabelledData,
    *,
    qrels: str | PathLike[str] | None = None,
    corpus: str | PathLike[str] | None = None,
    run: str | PathLike[str] | None = None,
    split: str | None = None,
    candidates: int = CANDIDATES,
    limit: int | None = None,
    seed: int = 0,
) -> LabelledData:
    """Read labelled queries; the chunks of each are shuffled, so that their order tells nothing.

    Args:
        data: JSON Lines (`.jsonl`, `.jsonl.gz`), a BEIR folder, a file of queries for `qrels` and
            `corpus`, or several of these, which are then weighted equally; the objects themselves,
            such as the rows of a `datasets.Dataset`; or what this function returned, as it is.
        qrels: Labels in TREC's format, for the queries of `data`.
        corpus: JSON Lines with the texts that they name.
        run: Candidates in TREC's run format, for a BEIR folder or `qrels`; default: BM25 over the
            corpus.
        split: That of a BEIR folder, such as `"train"`: the name of a file in its `qrels`.
        candidates: How many from a run, or from BM25, are taken for each query.
        limit: Use the first `limit` queries of each set.
        seed: For the shuffling.

    Raises:
        DataError: If something is missing, malformed or cannot be used; names file and line.
        ValueError: If options contradict each other.
    """
    if candidates < 2:
        raise ValueError(f"candidates must be at least 2, not {candidates}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, or None for all queries, not {limit}")
    if (qrels is None) != (corpus is None):
        raise ValueError(
            "qrels=... and corpus=... go together: pass both, with the queries as data"
        )
    if isinstance(data, LabelledData):
        return data if limit is None else data.head(limit)
    parts = _parts(data)
    options = beir.Options(
        qrels=_path(qrels), corpus=_path(corpus), run=_path(run), split=split, candidates=candidates
    )
    queries: list[LabelledQuery] = []
    sets: list[str] = []
    notes: list[str] = []
    for name, part in parts:
        found, said = _read(part, options)
        if name in sets:
            raise DataError(f"{name}: two sets have this name: rename a file, or join them")
        found = found[:limit]
        queries += [_shuffled(query, seed) for query in found]
        sets += [name] * len(found)
        notes += said
    return LabelledData(tuple(queries), tuple(sets), tuple(notes))


def check_enough(data: LabelledData) -> None:
    """Raise `DataError` if there are too few queries to fit on some and judge on others."""
    if len(data.queries) < LEAST_QUERIES:
        raise DataError(
            f"{', '.join(data.counts)}: {len(data.queries)} labelled queries, and at least "
            f"{LEAST_QUERIES} are needed to judge heads on other queries than select them; a few "
            "dozen are a good start"
        )


def digest(query: LabelledQuery) -> str:
    """Tells queries with their chunks and sentences apart, whatever their labels."""
    told = [
        query.query,
        [[chunk.title, chunk.text, _places(chunk)] for chunk in query.chunks],
    ]
    text = json.dumps(told, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _places(chunk: LabelledChunk) -> list[tuple[int, int]] | None:
    found = chunk.sentences
    return None if found is None else [(start, end) for start, end, _ in found]


def _parts(data: Any) -> list[tuple[str, Any]]:
    """Each set's name and what it is read from."""
    if isinstance(data, (str, PathLike)):
        data = [data]
    elif not isinstance(data, Iterable) or isinstance(data, Mapping):
        raise TypeError(
            "data must be a path, several paths, or objects such as "
            f'{{"query": ..., "chunks": [...]}}, not {type(data).__name__}'
        )
    found = list(data)
    if found and all(isinstance(one, (str, PathLike)) for one in found):
        return [(_name(Path(fspath(one))), Path(fspath(one))) for one in found]
    return [("data", found)]


def _name(path: Path) -> str:
    name = path.resolve().name
    for suffix in (".gz", ".jsonl", ".ndjson", ".tsv", ".json"):
        name = name.removesuffix(suffix)
    return name


def _read(part: Any, options: beir.Options) -> tuple[list[LabelledQuery], list[str]]:
    if not isinstance(part, Path):
        options.refuse("objects")
        return jsonl.read_objects(part)
    if options.qrels is not None:
        return beir.read_trec(part, options)
    if part.is_dir():
        return beir.read_folder(part, options)
    options.refuse(str(part))
    return jsonl.read_file(part)


def _shuffled(query: LabelledQuery, seed: int) -> LabelledQuery:
    chunks = list(query.chunks)
    random.Random(f"{seed}-{query.id}").shuffle(chunks)
    return replace(query, chunks=tuple(chunks))


def _path(name: str | PathLike[str] | None) -> Path | None:
    return None if name is None else Path(fspath(name))
