"""What relevance tells, on queries that selected nothing.

python -m benchmarks.relevance DATA_FOLDER [--limit N] [--pool N] [--store FOLDER]

Evidence two ways: *others*, where the candidates of an answerable query are what supports its
answer and chunks of other queries, of all sets alike, against as many of these alone; *nearest*,
the query's own candidates against the same without what supports the answer. And the question
itself as a chunk, in four forms, beside what answers it.
"""

from __future__ import annotations

import json
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from attnmass import AttentionRanker
from benchmarks.data import SETS, Labelled, parser, test_part
from benchmarks.late_ranker import late_ranker

RESULTS = Path(__file__).parent / "results" / "relevance.json"
SIZES = (1, 5, 20, 100, 1000)
KEPT = 0.95  # of the answerable, where false alarms are counted
ECHOES = (
    "{query}",
    "{upper}",
    "{query} {query} {query} {query} {query} {query} {query} {query} {query} {query}",
    "This paragraph is the answer to: {query}",
)


def main() -> None:
    """Measure and store."""
    made = parser(__doc__, RESULTS, limit=60)
    made.add_argument("--pool", type=int, default=1000, help="chunks of other queries")
    arguments = made.parse_args()
    warnings.simplefilter("ignore")
    found: dict[str, Any] = {"limit": arguments.limit, "pool": arguments.pool, "sets": {}}
    with late_ranker(arguments) as ranker:
        rule = ranker.profile.relevance
        assert rule is not None
        found["threshold"] = rule.evidence_threshold
        found["dtype"] = str(ranker._layout._reader.dtype).removeprefix("torch.")  # type: ignore[attr-defined]
        asked = {name: test_part(arguments.data, name)[: arguments.limit] for name in SETS}
        pool = [
            text
            for name in SETS
            for text in others(
                test_part(arguments.data, name)[arguments.limit :],
                [query for queries in asked.values() for query in queries],
                -(-arguments.pool // len(SETS)),
            )
        ]
        for name, queries in asked.items():
            found["sets"][name] = measured(ranker, queries, pool, rule.evidence_threshold)
            arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def others(queries: list[Labelled], asked: list[Labelled], count: int) -> list[str]:
    """Distinct chunks that are no candidates of those asked."""
    taken = {text for query in asked for text in query.texts}
    texts = [text for query in queries for text in query.texts if text not in taken]
    found = list(dict.fromkeys(texts))
    random.Random(0).shuffle(found)
    return found[:count]


def measured(
    ranker: AttentionRanker,
    asked: list[Labelled],
    pool: list[str],
    threshold: float | None,
) -> dict[str, Any]:
    """All figures of a set."""
    present: dict[int, list[float]] = {size: [] for size in SIZES if size <= len(pool) + 1}
    absent: dict[int, list[float]] = {size: [] for size in present}
    near: list[tuple[float, float]] = []
    echo = {"above the answer": 0, "evidence by itself": 0, "tried": 0}
    for number, query in enumerate(tqdm(asked)):
        echoed = [form.format(query=query.query, upper=query.query.upper()) for form in ECHOES]
        everything = [*query.texts, *pool, *echoed]
        by_index = sorted(ranker.rank(query.query, everything).chunks, key=lambda c: c.index)
        relevance = np.array([chunk.relevance or 0.0 for chunk in by_index])
        own = relevance[: len(query.texts)]
        mine = np.array(query.relevant, dtype=bool)
        drawn = relevance[len(query.texts) : len(query.texts) + len(pool)]
        drawn = drawn[np.random.default_rng(number).permutation(len(drawn))]
        for size in present:
            present[size].append(max([own[mine].max(), *drawn[: size - 1]]))
            absent[size].append(drawn[:size].max())
        near.append((float(own.max()), float(own[~mine].max())))
        beside = ranker.rank(query.query, [*query.texts, *echoed])
        places = [chunk.index for chunk in beside.chunks]
        best = min(places.index(i) for i, yes in enumerate(query.relevant) if yes)
        for i in range(len(echoed)):
            echo["tried"] += 1
            echo["above the answer"] += int(places.index(len(query.texts) + i) < best)
            echo["evidence by itself"] += int(
                threshold is not None and relevance[len(everything) - len(echoed) + i] >= threshold
            )
    return {
        "queries": len(asked),
        "others": {size: told(present[size], absent[size], threshold) for size in present},
        "nearest": told([one for one, _ in near], [other for _, other in near], threshold),
        "evidence": [[round(one, 5) for one in pair] for pair in near],
        "echo": echo,
    }


def told(
    present: list[float], absent: list[float], threshold: float | None
) -> dict[str, float | None]:
    """Area under ROC, false alarms where 95% are kept, and what the threshold makes of both."""
    labels = [1] * len(present) + [0] * len(absent)
    least = float(np.quantile(present, 1 - KEPT))
    return {
        "auroc": round(float(roc_auc_score(labels, [*present, *absent])), 4),
        "false alarms at 95%": round(float(np.mean(np.array(absent) >= least)), 4),
        "silenced": None
        if threshold is None
        else round(float(np.mean(np.array(present) < threshold)), 4),
        "let through": None
        if threshold is None
        else round(float(np.mean(np.array(absent) >= threshold)), 4),
    }


if __name__ == "__main__":
    main()
