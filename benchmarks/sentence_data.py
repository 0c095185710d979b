"""Queries with labelled sentences, and queries with the string that answers them.

Both are read from the folder of JSON Lines files, with the chunks of each query shuffled as in
`read_set`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class LabelledSentences:
    """A query, its candidates, and which of their sentences support the answer.

    Attributes:
        query: The question.
        texts: What the candidates say; the title line comes first and is in no sentence.
        sentences: For each text, its sentences in order: `[start, end)` in characters, and whether
            the sentence supports the answer.
    """

    query: str
    texts: tuple[str, ...]
    sentences: tuple[tuple[tuple[int, int, bool], ...], ...]

    @property
    def spans(self) -> tuple[tuple[Span, ...], ...]:
        """For each text, its sentences, without labels."""
        return tuple(tuple((start, end) for start, end, _ in each) for each in self.sentences)

    @property
    def relevant(self) -> list[int]:
        """1 for each supporting sentence, else 0, text after text."""
        return [int(label) for each in self.sentences for _, _, label in each]

    def tokens(self, count: Callable[[str], int]) -> list[int]:
        """Length of each sentence, each counted alone, text after text."""
        return [
            count(text[start:end])
            for text, each in zip(self.texts, self.sentences, strict=True)
            for start, end, _ in each
        ]


@dataclass(frozen=True, slots=True)
class Answered:
    """A query, its candidates, and its answer.

    Attributes:
        query: The question.
        texts: What the candidates say, title line included.
        answers: Strings any one of which is the answer.
    """

    query: str
    texts: tuple[str, ...]
    answers: tuple[str, ...]


def read_sentences(folder: Path, seed: int = 0) -> list[LabelledSentences]:
    """All queries of the set whose sentences are labelled."""
    return [
        LabelledSentences(
            query=row["query"],
            texts=tuple(chunk["text"] for chunk in row["chunks"]),
            sentences=tuple(
                tuple((int(start), int(end), bool(label)) for start, end, label in each)
                for each in (chunk["sentences"] for chunk in row["chunks"])
            ),
        )
        for row in _rows(folder / "hotpotqa_sentences.jsonl", seed)
    ]


def read_answers(folder: Path, name: str = "nq", seed: int = 0) -> list[Answered]:
    """All queries of a set, numbered as `read_set` numbers them; an answer may have aliases."""
    queries = []
    for row in _rows(folder / f"{name}.jsonl", seed):
        answer = row["answer"]
        answers = (answer,) if isinstance(answer, str) else tuple(answer)
        texts = tuple(chunk["text"] for chunk in row["chunks"])
        queries.append(Answered(query=row["query"], texts=texts, answers=answers))
    return queries


def _rows(path: Path, seed: int) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            random.Random(f"{seed}-{row['id']}").shuffle(row["chunks"])
            yield row
