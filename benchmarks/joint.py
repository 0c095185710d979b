"""nDCG@10 and recall@2 of the joint layout with the shipped profile, on unseen queries.

python -m benchmarks.joint DATA_FOLDER [--limit N]
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

from tqdm import tqdm

from attnmass import AttentionRanker
from benchmarks.data import N_FIT, SETS, test_part
from benchmarks.metrics import ndcg_at_10, recall_at_2

RESULTS = Path(__file__).parent / "results" / "joint.json"


def main() -> None:
    """Measure and store one row for each query; the parallel layout's are in quality.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--limit", type=int, help="queries of each set (default: all)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    ranker = AttentionRanker.from_pretrained("smollm2-135m", layout="joint", memory_bytes=0)
    rows = []
    for name in SETS:
        queries = test_part(arguments.data, name)[: arguments.limit]
        for number, item in enumerate(tqdm(queries, desc=name)):
            scores = ranker.rank(item.query, item.texts).scores
            rows.append(
                {
                    "set": name,
                    "query": number,
                    "method": "attnmass, joint",
                    "ndcg@10": round(ndcg_at_10(item.relevant, scores), 5),
                    "recall@2": round(recall_at_2(item.relevant, scores), 5),
                }
            )
    about = {
        "profile": json.loads(ranker.profile.to_json())["heads"],
        "dtype": str(ranker._layout._reader.dtype).removeprefix("torch."),  # type: ignore[attr-defined]
        "fit_queries_left_out": N_FIT,
        "rows": rows,
    }
    text = json.dumps(about, separators=(",", ":")).replace("},{", "},\n{")
    arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
