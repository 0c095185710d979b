"""Rankings as plain data, as JSON and in lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from attnmass.cli.items import Item, Question
from attnmass.cli.printable import encodable, on_one_line
from attnmass.explain.telling import chunk_data
from attnmass.results.ranking import Ranking
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.prompt import chunk_text

_BEGINNING = 200  # characters of a text on a line
_SURROGATE = re.compile("[\ud800-\udfff]")


def ranking_record(question: Question, ranking: Ranking) -> dict[str, Any]:
    """All that is known of one ranking, for JSON."""
    record: dict[str, Any] = {} if question.id is None else {"id": question.id}
    told = ranking.to_dict()
    _name(question, told)
    if told["saving"] is not None:
        _name(question, told["saving"])
    return record | told


def _name(question: Question, told: dict[str, Any]) -> None:
    """Say of each chunk of a result what it is to the user."""
    for name in ("chunks", "dropped"):
        told[name] = [_named(chunk, question.items[chunk["index"]]) for chunk in told[name]]


def chunk_record(rank: int | None, chunk: RankedChunk, item: Item) -> dict[str, Any]:
    """One chunk, for JSON: a dropped one with its reason and without a rank and its text."""
    return _named(chunk_data(chunk, rank), item)


def _named(chunk: dict[str, Any], item: Item) -> dict[str, Any]:
    about: dict[str, Any] = {
        "id": item.label if item.id is None else item.id,
        "source": item.source,
        "line": item.line,
        "start": item.start,
        "title": item.chunk.title,
    }
    if item.chunk.metadata:
        about["metadata"] = item.chunk.metadata
    places = {name: chunk[name] for name in ("rank", "index") if name in chunk}
    return places | about | chunk


def to_json(data: Any, *, indent: int | None = None) -> str:
    """JSON that any output can hold: what it cannot is escaped, so that nothing is lost."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=indent)
    if encodable(text) == text:
        return text
    if encodable("é") != "é":
        return json.dumps(data, allow_nan=False, indent=indent)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def reader_text(question: Question, ranking: Ranking) -> str:
    """What a reader gets, as the budget counted it: titles over texts, blank lines between."""
    return "\n\n".join(
        chunk_text(replace(question.items[chunk.index].chunk, text=chunk.text))
        for chunk in ranking.chunks
    )


def tsv_lines(question: Question, ranking: Ranking, *, labelled: bool) -> Iterator[str]:
    """A line for each kept chunk: score, where it is from, how its text begins.

    Args:
        question: What was asked of which chunks.
        ranking: Their ranking.
        labelled: Whether each line begins with the question's id, or the question.
    """
    for chunk in ranking.chunks:
        item = question.items[chunk.index]
        cells = [f"{chunk.score:.4f}", on_one_line(item.label), on_one_line(chunk.text, _BEGINNING)]
        yield "\t".join([on_one_line(question.label), *cells] if labelled else cells)
