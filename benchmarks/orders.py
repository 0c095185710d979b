"""What fusing with a retriever is worth, query by query, next to attention's and its own order.

python -m benchmarks.orders DATA_FOLDER [--limit N] [--store FOLDER]

Queries that selected nothing, by all-MiniLM-L6-v2's cosines and by BM25, each alone and fused as
with `fuse="auto"`, with their candidates in order, best first, as retrievers return them. What is
already known is kept after each query, and a second run with the same profile resumes from there.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from attnmass import AttentionRanker
from attnmass.scoring.order import order
from benchmarks.baselines import MiniLM, bm25
from benchmarks.data import SETS, Labelled, parser, test_part
from benchmarks.late_ranker import late_ranker
from benchmarks.metrics import ndcg_at_10

RESULTS = Path(__file__).parent / "results" / "orders.json"


def main() -> None:
    """Measure and store."""
    arguments = parser(__doc__, RESULTS, limit=60).parse_args()
    warnings.simplefilter("ignore")
    minilm = MiniLM()
    with late_ranker(arguments) as ranker:
        about = known(arguments.out, rules_of(ranker))
        for name in SETS:
            rows = about["sets"].setdefault(name, [])
            for query in tqdm(test_part(arguments.data, name)[len(rows) : arguments.limit]):
                rows.append(measured(ranker, minilm, query))
                text = json.dumps(about, separators=(",", ":")).replace("},{", "},\n{")
                arguments.out.write_text(f"{text}\n", encoding="utf-8")
            print(name, {key: round(np.mean([row[key] for row in rows]), 4) for key in rows[0]})


def rules_of(ranker: AttentionRanker) -> dict[str, Any]:
    """What determines the orders."""
    ranking, fusing = ranker.profile.ranking, ranker.profile.fusing
    assert ranking is not None
    assert fusing is not None
    weights = {kind: found for kind, found in asdict(fusing).items() if kind != "spans"}
    made = {"heads": ranking.heads, "exponents": ranking.exponents, "fusing": weights}
    return dict(json.loads(json.dumps(made)))


def known(out: Path, rules: dict[str, Any]) -> dict[str, Any]:
    """What an earlier run with the same rules found."""
    if out.exists():
        about = json.loads(out.read_text(encoding="utf-8"))
        if about["rules"] == rules:
            return dict(about)
    return {"rules": rules, "sets": {}}


def measured(ranker: AttentionRanker, minilm: MiniLM, query: Labelled) -> dict[str, float]:
    """nDCG@10 of each order of one query's candidates."""
    alone = ranker.rank(query.query, query.texts)
    found = {"attention": ndcg_at_10(query.relevant, list(alone.scores))}
    for name, score in (("minilm", minilm), ("bm25", bm25)):
        scores = score(query.query, query.texts)
        ranks = order(scores)
        fused = ranker.rank(
            query.query,
            [query.texts[i] for i in ranks],
            retrieval_scores=[scores[i] for i in ranks],
        )
        back = np.empty(len(scores))
        back[ranks] = fused.scores
        found[name] = ndcg_at_10(query.relevant, scores)
        found[f"{name} fused"] = ndcg_at_10(query.relevant, back.tolist())
    return {name: round(value, 5) for name, value in found.items()}


if __name__ == "__main__":
    main()
