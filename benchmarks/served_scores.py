"""What clients' thresholds make of the scores that `attnmass serve` may give.

python -m benchmarks.served_scores DATA_FOLDER [--limit N]

Queries that selected nothing, each with its own candidates, and with as many chunks of other
queries, among which nothing answers it. For each way to score: nDCG@10 of the order, and, at the
thresholds that clients come with (RAGFlow 0.2, Dify 0.5), the share that is kept of what supports
the answer and of the other candidates, and the share of the requests without an answer for which
anything is left.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any, get_args

import numpy as np
from tqdm import tqdm

from attnmass import AttentionRanker
from attnmass.options.choices import Scores
from attnmass.serving.scores import scored
from benchmarks import quality
from benchmarks.data import test_part
from benchmarks.metrics import ndcg_at_10
from benchmarks.relevance import others

RESULTS = Path(__file__).parent / "results" / "served_scores.json"
THRESHOLDS = (0.2, 0.5)
NAMES = ("nq", "hotpotqa_paragraphs")


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--limit", type=int, default=40, help="queries of each set")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    ranker = AttentionRanker.from_pretrained(quality.MODEL, layout="late")
    found: dict[str, Any] = {"limit": arguments.limit, "sets": {}}
    for name in NAMES:
        queries = test_part(arguments.data, name)
        asked, rest = queries[: arguments.limit], queries[arguments.limit :]
        pool = others(rest or queries, asked, 1000)
        found["sets"][name] = measured(ranker, asked, pool)
        print(name, json.dumps(found["sets"][name], indent=1), flush=True)
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measured(ranker: AttentionRanker, asked: list[Any], pool: list[str]) -> dict[str, Any]:
    """The figures of a set, by the way to score."""
    rows: dict[Scores, dict[str, list[float]]] = {
        how: {} for how in get_args(Scores) if how != "auto"
    }
    for number, query in enumerate(tqdm(asked)):
        drawn = np.random.default_rng(number).choice(len(pool), len(query.texts), replace=False)
        own = ranker.rank(query.query, query.texts)
        absent = ranker.rank(query.query, [pool[i] for i in drawn])
        yes = np.array(query.relevant, dtype=bool)
        for how, row in rows.items():
            scores = np.zeros(len(query.texts))
            for each in scored(own, how):
                scores[each.index] = each.score
            row.setdefault("ndcg@10", []).append(ndcg_at_10(query.relevant, scores.tolist()))
            left = np.array([each.score for each in scored(absent, how)])
            for least in THRESHOLDS:
                row.setdefault(f"supporting kept at {least}", []).extend(scores[yes] >= least)
                row.setdefault(f"others kept at {least}", []).extend(scores[~yes] >= least)
                row.setdefault(f"without answer, any at {least}", []).append(max(left) >= least)
    return {
        how: {name: round(float(np.mean(values)), 3) for name, values in row.items()}
        for how, row in rows.items()
    }


if __name__ == "__main__":
    main()
