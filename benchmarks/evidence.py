"""Queries with their evidence, and with it removed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.data import Labelled, read_set

FEW = 5  # chunks of the smallest sets
FILLERS = 2  # chunks of other queries that make each of a set's chunks a long one

SHAPES = ("as fetched", "half", "few", "joined", "long")


@dataclass(frozen=True, slots=True)
class Pair:
    """A query's candidates, and the same with other queries' chunks for the supporting ones.

    Attributes:
        query: The question.
        present: The candidates.
        absent: As many chunks, in the same order, none of them labelled as supporting it.
        relevant: 1 for each candidate of `present` that supports the answer, else 0.
        fillers: For each candidate, chunks of other queries that can make it longer.
    """

    query: str
    present: tuple[str, ...]
    absent: tuple[str, ...]
    relevant: tuple[int, ...]
    fillers: tuple[tuple[str, ...], ...]


def pairs(folder: Path, name: str, seed: int = 0) -> list[Pair]:
    """All queries of a set, numbered as `read_set` numbers them."""
    queries = read_set(folder, name)
    return [_pair(queries, number, seed) for number in range(len(queries))]


def _pair(queries: Sequence[Labelled], number: int, seed: int) -> Pair:
    draw = random.Random(f"{seed}-{number}")
    query = queries[number]
    taken = set(query.texts)

    def foreign() -> str:
        text = query.texts[0]
        while text in taken:
            text = draw.choice(draw.choice(queries).texts)
        taken.add(text)
        return text

    absent = tuple(
        foreign() if label else text
        for text, label in zip(query.texts, query.relevant, strict=True)
    )
    fillers = tuple(tuple(foreign() for _ in range(FILLERS)) for _ in query.texts)
    return Pair(query.query, query.texts, absent, query.relevant, fillers)


def shaped(pair: Pair, shape: str, seed: int = 0) -> Pair:
    """A pair as a pipeline of another kind would have fetched it.

    Pipelines differ in how many chunks they fetch and how long these are, and attention is shared
    by all of them: what evidence is fitted on has to differ, too.

    Args:
        pair: The pair as it is in the set.
        shape: `"as fetched"`; `"half"` of the candidates; `"few"`, up to five of them, the
            supporting ones among them; `"joined"` two by two; or `"long"`, each in the middle of
            other queries' chunks.
        seed: For what is drawn.
    """
    draw = random.Random(f"{seed}-{shape}-{pair.query}")
    places = range(len(pair.relevant))
    if shape == "as fetched":
        return pair
    if shape == "half":
        return _joined(pair, _some(pair, max(1, len(places) // 2), draw))
    if shape == "few":
        return _joined(pair, _some(pair, draw.randint(1, FEW), draw))
    if shape == "joined":
        return _joined(pair, [tuple(places[i : i + 2]) for i in range(0, len(places), 2)])
    if shape == "long":
        before = [draw.randint(0, FILLERS) for _ in places]

        def longer(text: str, place: int) -> str:
            around = pair.fillers[place]
            at = before[place]
            return "\n\n".join([*around[:at], text, *around[at:]])

        return replace(
            pair,
            present=tuple(longer(text, i) for i, text in enumerate(pair.present)),
            absent=tuple(longer(text, i) for i, text in enumerate(pair.absent)),
        )
    raise ValueError(f"shape must be one of {SHAPES}, not {shape!r}")


def _some(pair: Pair, count: int, draw: random.Random) -> list[tuple[int, ...]]:
    """Places of `count` candidates, or of all that support the answer if these are more."""
    needed = [place for place, label in enumerate(pair.relevant) if label]
    others = [place for place, label in enumerate(pair.relevant) if not label]
    draw.shuffle(others)
    return [(place,) for place in sorted([*needed, *others[: max(0, count - len(needed))]])]


def _joined(pair: Pair, groups: Sequence[tuple[int, ...]]) -> Pair:
    """The candidates at these places, those of a group as one."""
    return Pair(
        pair.query,
        tuple("\n\n".join(pair.present[i] for i in group) for group in groups),
        tuple("\n\n".join(pair.absent[i] for i in group) for group in groups),
        tuple(max(pair.relevant[i] for i in group) for group in groups),
        tuple(pair.fillers[group[0]] for group in groups),
    )


def auroc(present: Sequence[float], absent: Sequence[float]) -> float:
    """Area under ROC of evidence where it is present against where it is absent."""
    labels = [1] * len(present) + [0] * len(absent)
    return float(roc_auc_score(labels, [*present, *absent]))


def threshold_that_keeps(present: Sequence[float], share: float = 0.95) -> float:
    """The largest threshold at which `share` of the answerable queries are still answered."""
    return float(np.quantile(present, 1 - share, method="lower"))


def false_alarms(present: Sequence[float], absent: Sequence[float], share: float = 0.95) -> float:
    """Share of unanswerable queries let through where `share` of the answerable ones are."""
    least = threshold_that_keeps(present, share)
    return float(np.mean([value >= least for value in absent]))
