"""nDCG@10 of an encoder's attention, by all heads and by its profile's, on unseen queries.

python -m benchmarks.encoders DATA_FOLDER [--model NAME] [--limit N]
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from attnmass import AttentionRanker
from attnmass.options.declared import PointwiseReading
from attnmass.scoring.masses import chunk_masses, chunk_scores
from benchmarks.data import SETS, test_part
from benchmarks.heads import all_heads
from benchmarks.metrics import ndcg_at_10

RESULTS = Path(__file__).parent / "results" / "encoders.json"


def main() -> None:
    """Measure and store one value for each query and method."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--model", default="all-minilm-l6-v2")
    parser.add_argument("--limit", type=int, default=60, help="queries of each set")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    profile = AttentionRanker.from_pretrained(arguments.model, rank_by="attention").profile
    heads = all_heads(arguments.model)
    ranker = AttentionRanker.from_pretrained(
        arguments.model,
        heads=heads,
        reading=PointwiseReading(direction=profile.direction),
        rank_by="attention",
    )
    rows: list[dict[str, Any]] = []
    for name in SETS:
        queries = test_part(arguments.data, name)[: arguments.limit]
        for number, query in enumerate(tqdm(queries, desc=name)):
            found = ranker.attention(query.query, query.texts)
            shared, masses = chunk_scores(found, profile, heads)
            scores = {
                "all heads": chunk_masses(found, [1 / len(heads)] * len(heads)),
                "profile": shared,
                "mass alone": masses,
            }
            for method, values in scores.items():
                value = round(ndcg_at_10(query.relevant, values), 4)
                rows.append({"set": name, "query": number, "method": method, "ndcg@10": value})
    results = {"model": arguments.model, "direction": profile.direction, "rows": rows}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for name in SETS:
        for method in ("all heads", "mass alone", "profile"):
            mine = [r["ndcg@10"] for r in rows if (r["set"], r["method"]) == (name, method)]
            print(name, method, len(mine), round(float(np.mean(mine)), 3))


if __name__ == "__main__":
    main()
