"""What each model with a profile ranks, on queries that selected none of its heads.

python -m benchmarks.models DATA_FOLDER [--models NAME ...] [--limit N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

from tqdm import tqdm

from attnmass import AttentionRanker
from attnmass.errors import WeightsNotFoundError
from attnmass.models.sizes import full_depth
from benchmarks.data import SETS, test_part
from benchmarks.heads import config_of
from benchmarks.metrics import cell, ndcg_at_10

RESULTS = Path(__file__).parent / "results" / "models.json"
FIRST = "smollm2-135m"  # whose time the others' are compared with


def main() -> None:
    """Measure one model after the other, query by query; what was measured earlier stays."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--models", nargs="+", default=[FIRST, "gemma-3-270m"])
    parser.add_argument("--limit", type=int, default=100, help="queries of each set")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    known = json.loads(arguments.out.read_text("utf-8")) if arguments.out.is_file() else {}
    for name in arguments.models:
        try:
            known[name] = _measure(name, arguments.data, arguments.limit)
        except WeightsNotFoundError as error:  # not every machine has every model
            print(f"left as it was: {error}")
            continue
        text = json.dumps(known, separators=(",", ":")).replace("},{", "},\n{")
        arguments.out.write_text(text + "\n", encoding="utf-8")


def _measure(name: str, folder: Path, limit: int) -> dict[str, Any]:
    ranker = AttentionRanker.from_pretrained(name, layout="parallel", memory_bytes=0)
    first = AttentionRanker.from_pretrained(FIRST, layout="parallel", memory_bytes=0)
    profile = ranker.profile
    rows = []
    for each in SETS:
        for number, item in enumerate(tqdm(test_part(folder, each)[:limit], desc=f"{name} {each}")):
            scores, seconds = _timed(ranker, item.query, item.texts)
            rows.append(
                {
                    "set": each,
                    "query": number,
                    "ndcg@10": round(ndcg_at_10(item.relevant, scores), 5),
                    "seconds": round(seconds, 4),
                    "seconds_of_first": round(_timed(first, item.query, item.texts)[1], 4),
                }
            )
    return {
        "heads": profile.heads,
        "source": profile.source,
        "fitted_on": profile.fitted_on,
        "layers_read": profile.last_layer + 1,
        "layers": full_depth(config_of(ranker)),
        "rows": rows,
    }


def _timed(ranker: AttentionRanker, query: str, texts: tuple[str, ...]) -> tuple[Any, float]:
    started = time.perf_counter()
    scores = ranker.rank(query, texts).scores
    return scores, time.perf_counter() - started


def table(models: dict[str, Any]) -> str:
    """nDCG@10 of each model, the layers that are read, and its time against the default's."""
    lines = [
        f"| model | heads | layers read | time | {' | '.join(SETS)} |",
        f"|---|---|---|---{'|---' * len(SETS)}|",
    ]
    for name, found in models.items():
        heads = " ".join(f"{layer}-{head}" for layer, head in found["heads"])
        ratio = statistics.median(row["seconds"] / row["seconds_of_first"] for row in found["rows"])
        cells = [cell([r["ndcg@10"] for r in found["rows"] if r["set"] == each]) for each in SETS]
        lines.append(
            f"| {name} | {heads} | {found['layers_read']} of {found['layers']} | {ratio:.1f} "
            f"| {' | '.join(cells)} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
