"""Queries with their evidence and with it taken away."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.data import Labelled, read_set


@dataclass(frozen=True, slots=True)
class Pair:
    """A query's candidates, and the same with other queries' chunks for the supporting ones.

    Attributes:
        query: The question.
        present: The candidates.
        absent: As many chunks, in the same order, none of them labelled as supporting it.
        relevant: 1 for each candidate of `present` that supports the answer, else 0.
    """

    query: str
    present: tuple[str, ...]
    absent: tuple[str, ...]
    relevant: tuple[int, ...]


def pairs(folder: Path, name: str, seed: int = 0) -> list[Pair]:
    """All queries of a set, numbered as `read_set` numbers them."""
    queries = read_set(folder, name)
    return [_pair(queries, number, seed) for number in range(len(queries))]


def _pair(queries: Sequence[Labelled], number: int, seed: int) -> Pair:
    draw = random.Random(f"{seed}-{number}")
    query = queries[number]
    absent: list[str] = []
    for text, label in zip(query.texts, query.relevant, strict=True):
        while label and (text in query.texts or text in absent):
            text = draw.choice(draw.choice(queries).texts)
        absent.append(text)
    return Pair(query.query, query.texts, tuple(absent), query.relevant)


def variants(pair: Pair, seed: int = 0) -> list[Pair]:
    """The pair, half of its candidates, and its candidates joined two by two.

    Pipelines differ in how many chunks they fetch and how long these are, and attention is shared
    by all of them: what evidence is fitted on has to differ too.
    """
    draw = random.Random(f"{seed}-{pair.query}")
    places = range(len(pair.relevant))
    needed = [place for place in places if pair.relevant[place]]
    others = [place for place in places if not pair.relevant[place]]
    draw.shuffle(others)
    others = others[: max(0, len(places) // 2 - len(needed))]
    half = sorted([*needed, *others])
    twos = [places[i : i + 2] for i in range(0, len(places), 2)]
    return [
        pair,
        Pair(
            pair.query,
            tuple(pair.present[i] for i in half),
            tuple(pair.absent[i] for i in half),
            tuple(pair.relevant[i] for i in half),
        ),
        Pair(
            pair.query,
            tuple("\n\n".join(pair.present[i] for i in two) for two in twos),
            tuple("\n\n".join(pair.absent[i] for i in two) for two in twos),
            tuple(max(pair.relevant[i] for i in two) for two in twos),
        ),
    ]


def auroc(present: Sequence[float], absent: Sequence[float]) -> float:
    """Area under ROC of evidence where it is present against where it is absent."""
    labels = [1] * len(present) + [0] * len(absent)
    return float(roc_auc_score(labels, [*present, *absent]))


def threshold_that_keeps(present: Sequence[float], share: float = 0.95) -> float:
    """The largest threshold at which so many of the answerable queries are still answered."""
    return float(np.quantile(present, 1 - share, method="lower"))


def false_alarms(present: Sequence[float], absent: Sequence[float], share: float = 0.95) -> float:
    """Share of unanswerable queries let through where `share` of the answerable ones are."""
    least = threshold_that_keeps(present, share)
    return float(np.mean([value >= least for value in absent]))
