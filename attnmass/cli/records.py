"""Rankings as plain data, as JSON and in lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from attnmass.cli.items import Item, Question
from attnmass.cli.printable import encodable, on_one_line
from attnmass.results.ranking import Ranking
from attnmass.results.saving import Saving
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.prompt import chunk_text

_BEGINNING = 200  # characters of a text on a line
_SURROGATE = re.compile("[\ud800-\udfff]")


def ranking_record(question: Question, ranking: Ranking) -> dict[str, Any]:
    """All that is known of one ranking, for JSON."""
    profile = ranking.profile
    record: dict[str, Any] = {} if question.id is None else {"id": question.id}
    return record | {
        "query": ranking.query,
        "evidence": ranking.evidence,
        "no_evidence": ranking.no_evidence,
        "n_tokens_before": ranking.n_tokens_before,
        "n_tokens_after": ranking.n_tokens_after,
        "chunks": [
            chunk_record(rank, chunk, question.items[chunk.index])
            for rank, chunk in enumerate(ranking.chunks, 1)
        ],
        "dropped": [
            chunk_record(None, chunk, question.items[chunk.index]) for chunk in ranking.dropped
        ],
        "saving": None if ranking.saving is None else _saving_record(question, ranking.saving),
        "notes": list(ranking.notes),
        "profile": {
            "model": profile.model,
            "layout": profile.layout,
            "source": profile.source,
            "heads": [list(head) for head in profile.heads],
        },
        "timings": asdict(ranking.timings),
    }


def _saving_record(question: Question, saving: Saving) -> dict[str, Any]:
    """What a dry run did not return, for JSON."""
    kept, dropped = (
        [chunk_record(None, chunk, question.items[chunk.index]) for chunk in chunks]
        for chunks in (saving.chunks, saving.dropped)
    )
    return {
        "n_tokens_before": saving.n_tokens_before,
        "n_tokens_after": saving.n_tokens_after,
        "chunks": kept,
        "dropped": dropped,
        "error": saving.error,
    }


def chunk_record(rank: int | None, chunk: RankedChunk, item: Item) -> dict[str, Any]:
    """One chunk, for JSON: a dropped one with its reason and without a rank and its text."""
    record: dict[str, Any] = {
        "rank": rank,
        "index": chunk.index,
        "id": item.label if item.id is None else item.id,
        "source": item.source,
        "line": item.line,
        "start": item.start,
        "title": item.chunk.title,
        "score": chunk.score,
        "mass": chunk.mass,
        "retrieval_score": chunk.retrieval_score,
        "share": chunk.share,
        "relevance": chunk.relevance,
        "n_tokens": chunk.n_tokens,
        "n_windows": chunk.n_windows,
        "skipped": chunk.skipped,
    }
    if chunk.dropped is None:
        record["text"] = chunk.text
    else:
        del record["rank"]
        record["dropped"] = chunk.dropped
    if chunk.spans:
        record["spans"] = [asdict(span) for span in chunk.spans]
    return record


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
