"""Labelled queries from JSON Lines: one query with its chunks per line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attnmass.fitting.errors import DataError
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery, Sentence
from attnmass.fitting.queries.lines import kind, read_json_lines

_LINE = '{"query": "...", "chunks": [{"text": "...", "relevant": 1}, ...]}'


def read_file(path: Path) -> tuple[list[LabelledQuery], list[str]]:
    """All queries of a file, plain or gzip, that can teach anything, and notes.

    Raises:
        DataError: If a line is not one; names the file and the line.
    """
    return _read(read_json_lines(path), str(path))


def read_objects(objects: Iterable[Any]) -> tuple[list[LabelledQuery], list[str]]:
    """The same from objects such as the rows of a `datasets.Dataset`.

    Raises:
        DataError: If an object is not one; names its index.
    """
    found, notes = _read(_placed(objects), "data")
    if not found:
        raise DataError("data: empty")
    return found, notes


def _placed(objects: Iterable[Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for index, data in enumerate(objects):
        place = f"data[{index}]"
        if not isinstance(data, Mapping):
            raise DataError(f"{place}: {type(data).__name__}, not a dict such as {_LINE}")
        yield place, data


def _read(
    rows: Iterable[tuple[str, Mapping[str, Any]]], source: str
) -> tuple[list[LabelledQuery], list[str]]:
    queries: list[LabelledQuery] = []
    without: list[str] = []
    seen: dict[str, str] = {}
    for place, data in rows:
        query = _query(data, place)
        if query.id in seen:
            raise DataError(f"{place}: id {query.id!r} again, first at {seen[query.id]}")
        seen[query.id] = place
        if query.all_relevant:  # sets with a few such queries are common
            without.append(place)
        else:
            queries.append(query)
    if without and not queries:
        raise DataError(f"{without[0]}: no negatives: all chunks of every query are relevant")
    if not without:
        return queries, []
    n = f"{len(without)} of {len(without) + len(queries)}"
    return queries, [
        f"{source}: {n} queries left out: all their chunks are relevant (first {without[0]})"
    ]


def check_labels(query: LabelledQuery) -> LabelledQuery:
    """The query, if it has an order and something to find.

    Raises:
        DataError: If there is only one chunk, or none is relevant.
    """
    n = len(query.chunks)
    if n < 2:
        what = "one chunk" if n else "no chunks"
        raise DataError(f"{query.place}: {what}: an order needs at least two")
    if not any(label > 0 for label in query.relevant):
        raise DataError(f"{query.place}: no positives: none of the {n} chunks is relevant")
    return query


def _query(data: Mapping[str, Any], place: str) -> LabelledQuery:
    text = data.get("query")
    if not isinstance(text, str):
        what = "no query" if "query" not in data else f"query is {kind(text)}, not a string"
        raise DataError(f"{place}: {what}: a line is {_LINE}")
    if not text.strip():
        raise DataError(f"{place}: the query is blank")
    found = data.get("chunks")
    if not isinstance(found, (list, tuple)):
        what = "no chunks" if found is None else f"chunks is {kind(found)}, not a list"
        raise DataError(f"{place}: {what}: a line is {_LINE}")
    chunks: list[LabelledChunk] = []
    seen: dict[str, int] = {}
    for index, one in enumerate(found):
        chunk = _chunk(one, f"{place}: chunks[{index}]", index)
        if chunk.id in seen:
            first = f"chunks[{seen[chunk.id]}]"
            raise DataError(f"{place}: chunks[{index}]: id {chunk.id!r} again, first at {first}")
        seen[chunk.id] = index
        chunks.append(chunk)
    name = _id(data, place)
    query = LabelledQuery(
        text,
        tuple(chunks),
        # Lines without an id are told apart by their place.
        id=place if name is None else name,
        place=place,
        answers=_answers(data, place),
    )
    return check_labels(query)


def _chunk(data: Any, place: str, index: int) -> LabelledChunk:
    if not isinstance(data, Mapping):
        raise DataError(f"{place}: {kind(data)}, not an object")
    text, title = data.get("text"), data.get("title")
    if not isinstance(text, str):
        what = "no text" if "text" not in data else f"text is {kind(text)}, not a string"
        raise DataError(f"{place}: {what}")
    if not text.strip():
        raise DataError(f"{place}: the text is empty")
    if not (title is None or isinstance(title, str)):
        raise DataError(f"{place}: title is {kind(title)}, not a string")
    if title is not None and (not title.strip() or text.startswith(f"{title}\n")):
        title = None  # the model would read it twice
    name = _id(data, place)
    return LabelledChunk(
        text,
        _label(data, place),
        id=f"[{index}]" if name is None else name,
        title=title,
        sentences=_sentences(data.get("sentences"), text, place),
        retrieval_scores=_retrieval_scores(data.get("retrieval_score"), place),
    )


def _retrieval_scores(found: Any, place: str) -> tuple[float, ...]:
    """A retriever's score, or those of several."""
    if found is None:
        return ()
    scores = found if isinstance(found, (list, tuple)) else [found]
    for score in scores:
        if isinstance(score, bool) or not isinstance(score, (int, float)):
            raise DataError(f"{place}: retrieval_score is {kind(score)}, not a number")
        if not math.isfinite(score):
            raise DataError(f"{place}: retrieval_score is {score}, not finite")
    return tuple(float(score) for score in scores)


def _label(data: Mapping[str, Any], place: str) -> float:
    if "relevant" not in data:
        raise DataError(f"{place}: no label: relevant is 1 for what supports the answer, else 0")
    label = data["relevant"]
    if not isinstance(label, (bool, int, float)):
        raise DataError(f"{place}: relevant is {kind(label)}, not 0 or 1")
    try:
        number = float(label)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and number >= 0):
        raise DataError(f"{place}: relevant is {label}, not 0 or above")
    return number


def _sentences(found: Any, text: str, place: str) -> tuple[Sentence, ...] | None:
    if found is None:
        return None
    if not isinstance(found, (list, tuple)):
        raise DataError(f"{place}: sentences is {kind(found)}, not a list")
    sentences: list[Sentence] = []
    for index, one in enumerate(found):
        where = f"{place}: sentences[{index}]"
        if not (isinstance(one, (list, tuple)) and len(one) == 3 and all(map(_is_whole, one))):
            raise DataError(f"{where} is not [start, end, relevant]")
        start, end, label = (int(number) for number in one)
        if not 0 <= start < end <= len(text):
            raise DataError(f"{where}: {start} to {end} is not in a text of {len(text)} characters")
        if label not in (0, 1):
            raise DataError(f"{where}: the label is {label}, not 0 or 1")
        sentences.append((start, end, bool(label)))
    return tuple(sentences)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (bool, int))


def _answers(data: Mapping[str, Any], place: str) -> tuple[str, ...]:
    name = "answers" if "answers" in data else "answer"
    found = data.get(name)
    if found is None:
        return ()
    answers = [found] if isinstance(found, str) else found
    if not (isinstance(answers, (list, tuple)) and all(isinstance(one, str) for one in answers)):
        raise DataError(f"{place}: {name} is neither a string nor a list of strings")
    return tuple(answers)


def _id(data: Mapping[str, Any], place: str) -> str | None:
    found = data.get("id")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        raise DataError(f"{place}: id is {kind(found)}, not a string or a whole number")
    return str(found)
