"""Chunks and questions from JSON Lines. What `--format jsonl` writes can be read again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attnmass.cli.errors import InputError
from attnmass.cli.items import Item, Question
from attnmass.text.chunk import Chunk
from attnmass.text.strict_json import read_json

_CHUNK = (
    '{"text": "...", "id": ..., "title": ..., "score": ..., "metadata": {...}}, of which text is '
    "needed"
)
_QUESTION = '{"query": "...", "chunks": [{"text": "..."}, ...]}'


def is_json_lines(lines: Iterable[str]) -> bool:
    """Whether the first line that is not blank is a JSON object."""
    first = next((line for line in lines if line.strip()), "")
    if not first.lstrip().startswith("{"):
        return False
    try:
        # Leniently, numbers and all: what is wrong in them is told where the lines are read.
        return isinstance(json.loads(first, parse_int=str), dict)
    except (ValueError, RecursionError):
        return False


def read_chunks(lines: Iterable[str], name: str) -> Iterator[Item]:
    """One chunk a line.

    Args:
        lines: The lines; each is read when its chunk is asked for.
        name: The file's, for errors and as the chunks' source.

    Raises:
        InputError: If a line is no chunk; names the file and the line.
    """
    for place, data in _objects(lines, name):
        if "text" not in data and "query" in data:
            raise InputError(
                f"{place}: a question, not a chunk",
                f"questions are for rank and trim: --queries {name}, and no QUERY",
            )
        yield _item(data, place, name, int(place.rpartition(":")[2]))


def read_questions(text: str, name: str, shared: Sequence[Item] | None) -> list[Question]:
    """One question a line.

    Args:
        text: The lines.
        name: The file's.
        shared: The chunks for questions that bring none; `None` if all have to bring theirs.

    Raises:
        InputError: If a line is no question; names the file and the line.
    """
    questions = []
    for place, data in _objects(text.split("\n"), name):
        query = data.get("query")
        if not isinstance(query, str) or not query.strip():
            what = "a blank query" if isinstance(query, str) else "no query"
            raise InputError(f"{place}: {what}", f"a line is {_QUESTION}")
        found = data.get("chunks")
        if found is None:
            if shared is None:
                raise InputError(
                    f"{place}: no chunks", f"a line is {_QUESTION}, or name PATHS with the chunks"
                )
            items: tuple[Item, ...] = tuple(shared)
        else:
            if shared is not None:
                raise InputError(
                    f"{place}: has chunks of its own beside those of PATHS",
                    "name no PATHS, or leave the chunks out of the questions",
                )
            items = tuple(_chunks(found, place, name))
        questions.append(Question(query, items, _id(data, place)))
    return questions


def _chunks(found: Any, place: str, name: str) -> Iterator[Item]:
    if not isinstance(found, list):
        raise InputError(f"{place}: chunks is not a list", f"a line is {_QUESTION}")
    for index, data in enumerate(found):
        where = f"{place}: chunks[{index}]"
        if isinstance(data, str):
            data = {"text": data}
        if not isinstance(data, dict):
            raise InputError(f"{where} is not an object", f"a chunk is {_CHUNK}")
        yield _item(data, where, name, int(place.rpartition(":")[2]))


def _item(data: Mapping[str, Any], place: str, name: str, line: int) -> Item:
    text = data.get("text")
    if not isinstance(text, str):
        what = "no text" if text is None else f"text is {_kind(text)}, not a string"
        raise InputError(f"{place}: {what}", f"a chunk is {_CHUNK}")
    title, source, score = data.get("title"), data.get("source"), data.get("score")
    if not (title is None or isinstance(title, str)):
        raise InputError(f"{place}: title is {_kind(title)}, not a string")
    if title is not None and (not title.strip() or text.startswith(f"{title}\n")):
        title = None  # the model would read it twice
    metadata = data.get("metadata")
    if not (metadata is None or isinstance(metadata, dict)):
        raise InputError(f"{place}: metadata is {_kind(metadata)}, not an object")
    if score is not None:
        score = _score(score, place)
    return Item(
        Chunk(text, title, metadata=metadata or {}),
        source if isinstance(source, str) and source else name,
        _id(data, place),
        line,
        score=score,
    )


def _score(score: Any, place: str) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise InputError(f"{place}: score is {_kind(score)}, not a number")
    try:
        number = float(score)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{place}: score is not finite")
    return number


def _id(data: Mapping[str, Any], place: str) -> str | int | None:
    found = data.get("id")
    if found is None or (isinstance(found, str | int) and not isinstance(found, bool)):
        return found
    raise InputError(f"{place}: id is {_kind(found)}, not a string or a whole number")


def _objects(lines: Iterable[str], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line's place, `name:line`, and object; blank lines are none."""
    for number, line in enumerate(lines, 1):  # parted by line feeds: JSON may hold U+2028
        if not line.strip():
            continue
        place = f"{name}:{number}"
        try:
            data = read_json(line)
        except RecursionError:
            raise InputError(f"{place}: nested too deeply") from None
        except json.JSONDecodeError as error:
            raise InputError(
                f"{place}: not JSON: {error.msg} at column {error.colno}",
                "for a file that is plain text: --input text",
            ) from error
        except ValueError as error:
            raise InputError(f"{place}: not JSON: {error}") from error
        if not isinstance(data, dict):
            raise InputError(f"{place}: {_kind(data)}, not an object", f"a chunk is {_CHUNK}")
        yield place, data


def _kind(value: Any) -> str:
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")
