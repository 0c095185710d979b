"""Labelled queries, read from a folder of JSON Lines files (one query with its chunks per line)."""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path

SETS = ("hotpotqa_paragraphs", "musique", "nq")

# The first this many queries of a set may select heads; the others, and all of musique, only test.
N_FIT = {"hotpotqa_paragraphs": 150, "nq": 150, "musique": 0}


@dataclass(frozen=True, slots=True)
class Labelled:
    """A query and its candidates.

    Attributes:
        query: The question.
        texts: What the candidates say, title line included, in shuffled order.
        relevant: 1 for each candidate that supports the answer, else 0.
    """

    query: str
    texts: tuple[str, ...]
    relevant: tuple[int, ...]


def parser(told: str | None, results: Path | None, *, limit: int) -> argparse.ArgumentParser:
    """Arguments for what is measured on all sets.

    Args:
        told: The module's docstring.
        results: Where results go by default; `None` where that depends on other arguments.
        limit: Queries of each set by default.
    """
    made = argparse.ArgumentParser(description=(told or "").split("\n")[0])
    made.add_argument("data", type=Path, help="folder with the JSON Lines files")
    made.add_argument("--limit", type=int, default=limit, help="queries of each set")
    made.add_argument("--store", type=Path, help="where what was read is kept")
    made.add_argument("--dtype", default="auto")
    made.add_argument("--out", type=Path, default=results)
    return made


def read_set(folder: Path, name: str, seed: int = 0) -> list[Labelled]:
    """All queries of a set, the chunks of each shuffled."""
    queries = []
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            chunks = row["chunks"]
            random.Random(f"{seed}-{row['id']}").shuffle(chunks)
            queries.append(
                Labelled(
                    query=row["query"],
                    texts=tuple(chunk["text"] for chunk in chunks),
                    relevant=tuple(int(chunk["relevant"]) for chunk in chunks),
                )
            )
    return queries


def fit_part(folder: Path, name: str) -> list[Labelled]:
    """The queries of a set that may select heads."""
    return read_set(folder, name)[: N_FIT[name]]


def test_part(folder: Path, name: str) -> list[Labelled]:
    """The queries of a set that select nothing."""
    return read_set(folder, name)[N_FIT[name] :]


def query_and_chunks(folder: Path, count: int) -> tuple[str, list[str]]:
    """A query and `count` chunks of 300 to 900 characters, as retrievers give them, none twice."""
    queries = [
        query
        for name in ("nq", "musique", "hotpotqa_paragraphs")
        for query in read_set(folder, name)
    ]
    texts = dict.fromkeys(text for query in queries for text in query.texts)
    return queries[0].query, [text for text in texts if 300 <= len(text) <= 900][:count]
