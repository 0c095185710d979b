"""How much relevance tells, on queries that selected nothing.

python -m benchmarks.relevance DATA_FOLDER [--model NAME] [--limit N] [--pool N] [--store FOLDER]

Evidence is judged in two ways: *others*, where the candidates of an answerable query are what
supports its answer and chunks of other queries, from all sets alike, against as many of these
alone; *nearest*, the query's own candidates against the same without what supports the answer. Both
are by relevance, by all-MiniLM-L6-v2's best cosine, and by both as with `fuse="auto"`.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from attnmass import AttentionRanker
from attnmass.fitting.metrics import Bools, Integers
from attnmass.fitting.metrics import Floats as Values
from attnmass.profiles import RelevanceRule
from attnmass.profiles.texts import ordinary_rarity
from attnmass.scoring.evidence import by_both, covered
from attnmass.text.words import QueryWords
from benchmarks.baselines import MiniLM
from benchmarks.data import SETS, Labelled, parser, test_part
from benchmarks.late_ranker import late_ranker, results_of
from benchmarks.quality import MODEL

RESULTS = Path(__file__).parent / "results" / "relevance.json"
SIZES = (1, 5, 20, 100, 1000)
RELEVANCE, COSINE, BOTH = WAYS = ("relevance", "MiniLM cosine", "both")
ROUNDING = 1e-6  # what different batches of the embedder may change
KEPT = 0.95  # of the answerable, where false alarms are counted


def main() -> None:
    """Measure and store."""
    made = parser(__doc__, None, limit=60)
    made.add_argument("--model", default=MODEL)
    made.add_argument("--pool", type=int, default=1000, help="chunks of other queries")
    arguments = made.parse_args()
    arguments.out = arguments.out or results_of(arguments.model, RESULTS)
    warnings.simplefilter("ignore")
    minilm = MiniLM()
    found: dict[str, Any] = {"model": arguments.model, "limit": arguments.limit}
    found |= {"pool": arguments.pool, "sets": {}}
    with late_ranker(arguments, model=arguments.model) as ranker:
        rule = ranker.profile.relevance
        assert rule is not None
        found["threshold"] = rule.evidence_threshold
        found["dtype"] = str(ranker._layout._reader.dtype).removeprefix("torch.")  # type: ignore[attr-defined]
        asked = {name: test_part(arguments.data, name)[: arguments.limit] for name in SETS}
        left = {name: test_part(arguments.data, name)[arguments.limit :] for name in SETS}
        n_left = sum(1 for queries in left.values() if queries)
        mine = [query for queries in asked.values() for query in queries]
        pool = [
            text
            for queries in left.values()
            for text in others(queries, mine, -(-arguments.pool // n_left))
        ]
        cosines = minilm.over(pool)
        for name, queries in asked.items():
            found["sets"][name] = measured(ranker, queries, pool, minilm, cosines)
            arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def others(queries: list[Labelled], asked: list[Labelled], count: int) -> list[str]:
    """Distinct chunks that are not candidates of the queries asked."""
    taken = {text for query in asked for text in query.texts}
    texts = [text for query in queries for text in query.texts if text not in taken]
    found = list(dict.fromkeys(texts))
    random.Random(0).shuffle(found)
    return found[:count]


def measured(
    ranker: AttentionRanker,
    asked: list[Labelled],
    pool: list[str],
    minilm: MiniLM,
    over_pool: Callable[[str], list[float]],
) -> dict[str, Any]:
    """All figures of a set."""
    rule, fusing = ranker.profile.relevance, ranker.profile.fusing
    assert rule is not None
    assert fusing is not None
    assert fusing.evidence is not None
    threshold = rule.evidence_threshold
    told_by: dict[str, _Sides] = {way: _Sides() for way in WAYS}
    pairs = []
    for number, query in enumerate(tqdm(asked)):
        n_own = len(query.texts)
        everything = [*query.texts, *pool]
        by_index = sorted(ranker.rank(query.query, everything).chunks, key=lambda c: c.index)
        relevance = np.array([chunk.relevance or 0.0 for chunk in by_index])
        cosines = np.array([*minilm(query.query, query.texts), *over_pool(query.query)])
        both = np.array(
            [
                by_both(one, cosine, fusing.evidence)
                for one, cosine in zip(relevance, cosines, strict=True)
            ]
        )
        own = ranker.rank(
            query.query,
            query.texts,
            retrieval_scores=cosines[:n_own].tolist(),
            retrieval_kind="similarity",
        )
        mine = np.array(query.relevant, dtype=bool)
        places = n_own + np.random.default_rng(number).permutation(len(pool))
        evidence = Evidence.of(query.query, everything, relevance, rule)
        fused = replace(evidence, each=both)
        assert abs(own.evidence - fused(np.arange(n_own))) < ROUNDING
        by_cosine = replace(evidence, each=cosines, coverage=0.0)
        for way, one in zip(WAYS, (evidence, by_cosine, fused), strict=True):
            told_by[way].add(one, mine, places)
        pairs.append(
            [round(float(relevance[:n_own][some].max()), 5) for some in (mine | True, ~mine)]
        )
    ways = {way: sides.told(None if way == COSINE else threshold) for way, sides in told_by.items()}
    return {"queries": len(asked), **ways, "evidence": pairs}


@dataclass(frozen=True)
class Evidence:
    """Evidence of some chunks together: the best one's, and as far as words count, what two say.

    Attributes:
        each: The evidence of each chunk.
        said: Which of the query's words it says.
        words: The query's.
        threshold: That of evidence.
        coverage: How much words count; 0: not at all.
    """

    each: Values
    said: list[int]
    words: QueryWords
    threshold: float | None
    coverage: float

    @classmethod
    def of(cls, query: str, texts: list[str], each: Values, rule: RelevanceRule) -> Evidence:
        """From what each of some texts has, counting words as the rule does."""
        words = QueryWords(query, ordinary_rarity())
        said = [words.found(text) for text in texts]
        return cls(each, said, words, rule.evidence_threshold, rule.coverage)

    def __call__(self, places: Integers) -> float:
        """Evidence of the chunks at some places."""
        each = self.each[places]
        if not self.coverage or self.threshold is None:
            return float(each.max())
        said = [self.said[place] for place in places.tolist()]
        return covered(each.tolist(), said, self.threshold, self.words.by_pairs, self.coverage)


class _Sides:
    """Evidence of candidates with and without an answer, gathered query by query."""

    def __init__(self) -> None:
        self._others: dict[int, tuple[list[float], list[float]]] = {}
        self._nearest: tuple[list[float], list[float]] = ([], [])

    def add(self, evidence: Evidence, relevant: Bools, drawn: Integers) -> None:
        """One query's candidates, which of them support the answer, and others' in random order."""
        supporting = np.flatnonzero(relevant)
        for size in SIZES:
            if size <= len(drawn):
                present, absent = self._others.setdefault(size, ([], []))
                present.append(evidence(np.concatenate([supporting, drawn[: size - 1]])))
                absent.append(evidence(drawn[:size]))
        self._nearest[0].append(evidence(np.arange(len(relevant))))
        self._nearest[1].append(evidence(np.flatnonzero(~relevant)))

    def told(self, threshold: float | None) -> dict[str, Any]:
        """All figures."""
        others = {size: told(*sides, threshold) for size, sides in self._others.items()}
        return {"others": others, "nearest": told(*self._nearest, threshold)}


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
