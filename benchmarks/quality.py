"""How attention and its rivals rank, and how long they take, on queries that chose nothing.

python -m benchmarks.quality DATA_FOLDER [--limit N] [--icr-queries N]
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from attnmass import AttentionRanker
from attnmass.scoring.order import fuse, log_masses
from benchmarks.baselines import MiniLM, SlowICR, bm25
from benchmarks.data import N_FIT, SETS, Labelled, test_part
from benchmarks.metrics import ndcg_at_10, recall_at_2

RESULTS = Path(__file__).parent / "results" / "quality.json"

MODEL = "smollm2-135m"

BLENDED = {"attnmass", "MiniLM cosine"}
BLENDS = {  # as with `fuse`, by the share of the cosine
    "attnmass + MiniLM": 0.5,
    "attnmass + MiniLM, fuse=0.3": 0.3,
    "attnmass + MiniLM, fuse=0.7": 0.7,
}

Method = Callable[[str, Sequence[str]], list[float]]
Row = dict[str, Any]


def main() -> None:
    """Measure and store one value for each query and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--start", type=int, default=0, help="go on from this query of each set")
    parser.add_argument("--limit", type=int, help="queries of each set (default: all)")
    parser.add_argument("--icr-queries", type=int, default=12, help="of each set, for the slow one")
    parser.add_argument(
        "--float32", type=int, default=60, help="of each set, also in float32 and cached"
    )
    parser.add_argument(
        "--only", nargs="+", help="measure these methods, and keep what is known of others"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()

    warnings.simplefilter("ignore")
    ranker = AttentionRanker.from_pretrained(MODEL, memory_bytes=0)
    keeping = AttentionRanker.from_pretrained(MODEL)
    methods: dict[str, Method] = {
        "BM25": bm25,
        "MiniLM cosine": MiniLM(),
        "attnmass": _by(ranker),
        "attnmass, chunks cached": _by(keeping),
        "attnmass, float32": _by(
            AttentionRanker.from_pretrained(MODEL, dtype="float32", memory_bytes=0)
        ),
        "ICR, all heads": SlowICR(),
    }
    most = {
        "attnmass, chunks cached": arguments.float32,
        "attnmass, float32": arguments.float32,
        "ICR, all heads": arguments.icr_queries,
    }
    rows: list[Row] = []
    renewed = {*methods, *BLENDS}
    if arguments.only:
        methods = {name: method for name, method in methods.items() if name in arguments.only}
        renewed = {*methods, *(BLENDS if methods.keys() >= BLENDED else ())}
    if arguments.start or arguments.only:
        known = json.loads(arguments.out.read_text(encoding="utf-8"))["rows"]
        rows = [
            row for row in known if row["query"] < arguments.start or row["method"] not in renewed
        ]
    for name in SETS:
        queries = test_part(arguments.data, name)[: arguments.limit]
        for number, item in enumerate(tqdm(queries, desc=name)):
            if number < arguments.start:
                continue
            if number < arguments.float32:
                keeping.warm(item.texts)
            asked = {
                method: score
                for method, score in methods.items()
                if number < most.get(method, len(queries))
            }
            for method, (scores, seconds) in _timed(asked, item).items():
                rows.append(
                    {
                        "set": name,
                        "query": number,
                        "method": method,
                        "ndcg@10": round(ndcg_at_10(item.relevant, scores), 5),
                        "recall@2": round(recall_at_2(item.relevant, scores), 5),
                        "seconds": round(seconds, 4),
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


def _timed(methods: Mapping[str, Method], item: Labelled) -> dict[str, tuple[list[float], float]]:
    """Scores and seconds of each method on one query, and of the blend of two."""
    found: dict[str, tuple[list[float], float]] = {}
    for method, score in methods.items():
        started = time.perf_counter()
        scores = score(item.query, item.texts)
        found[method] = scores, time.perf_counter() - started
    if not found.keys() >= BLENDED:
        return found
    (masses, one), (cosine, other) = found["attnmass"], found["MiniLM cosine"]
    blends = {
        name: (fuse(log_masses(masses), cosine, share), one + other)
        for name, share in BLENDS.items()
    }
    return {**found, **blends}


def _by(ranker: AttentionRanker) -> Method:
    return lambda query, texts: list(ranker.rank(query, texts).scores)


if __name__ == "__main__":
    main()
