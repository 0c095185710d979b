"""nDCG@10 and recall@2 of attention and of what it is compared with, on queries that chose nothing.

python -m benchmarks.quality DATA_FOLDER [--limit N] [--icr-queries N]
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

from tqdm import tqdm

from attnmass import AttentionRanker, scoring
from benchmarks.baselines import MiniLM, SlowICR, bm25
from benchmarks.data import N_FIT, SETS, test_part
from benchmarks.metrics import ndcg_at_10, recall_at_2

RESULTS = Path(__file__).parent / "results" / "quality.json"


def main() -> None:
    """Measure and store one value for each query and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--start", type=int, default=0, help="go on from this query of each set")
    parser.add_argument("--limit", type=int, help="queries of each set (default: all)")
    parser.add_argument("--icr-queries", type=int, default=12, help="of each set, for the slow one")
    parser.add_argument("--float32", type=int, default=60, help="of each set, also in float32")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()

    warnings.simplefilter("ignore")
    ranker = AttentionRanker.from_pretrained("smollm2-135m", cache_bytes=0)
    exact = AttentionRanker.from_pretrained("smollm2-135m", dtype="float32", cache_bytes=0)
    minilm, icr = MiniLM(), SlowICR()
    rows = []
    if arguments.start:
        known = json.loads(arguments.out.read_text(encoding="utf-8"))["rows"]
        rows = [row for row in known if row["query"] < arguments.start]
    for name in SETS:
        queries = test_part(arguments.data, name)[: arguments.limit]
        for number, item in enumerate(tqdm(queries, desc=name)):
            if number < arguments.start:
                continue
            cosine = minilm(item.query, item.texts)
            mass = list(ranker.rank(item.query, item.texts).scores)
            scores = {
                "attnmass": mass,
                "attnmass + MiniLM": scoring.fuse(mass, cosine, 0.5),
                "MiniLM cosine": cosine,
                "BM25": bm25(item.query, item.texts),
            }
            if number < arguments.float32:
                scores["attnmass, float32"] = list(exact.rank(item.query, item.texts).scores)
            if number < arguments.icr_queries:
                scores["ICR, all heads"] = icr(item.query, item.texts)
            for method, values in scores.items():
                rows.append(
                    {
                        "set": name,
                        "query": number,
                        "method": method,
                        "ndcg@10": round(ndcg_at_10(item.relevant, values), 5),
                        "recall@2": round(recall_at_2(item.relevant, values), 5),
                    }
                )
    arguments.out.parent.mkdir(exist_ok=True)
    about = {
        "profile": json.loads(ranker.profile.to_json())["heads"],
        "dtype": str(ranker._layout._reader.dtype).removeprefix("torch."),  # type: ignore[attr-defined]
        "fit_queries_left_out": N_FIT,
        "rows": rows,
    }
    arguments.out.write_text(
        json.dumps(about, separators=(",", ":")).replace("},{", "},\n{") + "\n"
    )


if __name__ == "__main__":
    main()
