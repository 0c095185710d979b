"""What smaller cache formats cost in quality, and what they save.

python -m benchmarks.cache_formats DATA_FOLDER [--limit N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any, get_args

from tqdm import tqdm

from attnmass import AttentionRanker
from attnmass.options.choices import StoreFormat
from benchmarks.data import SETS, test_part
from benchmarks.metrics import ndcg_at_10

RESULTS = Path(__file__).parent / "results" / "cache_formats.json"
BOUND = 256 << 20  # bytes, enough for one query's chunks


def main() -> None:
    """Rank each query with each format, and store one value for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--limit", type=int, default=40, help="queries of each set")
    parser.add_argument("--dtype", default="float32", help="of the model, which is exact")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rankers = {
        name or "exact": AttentionRanker.from_pretrained(
            "smollm2-135m", dtype=arguments.dtype, memory_bytes=BOUND, store_format=name
        )
        for name in (None, *get_args(StoreFormat))
    }
    sizes: dict[str, float] = {}
    rows = []
    for name in SETS:
        for number, item in enumerate(
            tqdm(test_part(arguments.data, name)[: arguments.limit], desc=name)
        ):
            for label, ranker in rankers.items():
                scores = ranker.rank(item.query, item.texts).scores
                if label not in sizes:
                    stats = ranker.stats
                    sizes[label] = stats.memory_bytes / stats.tokens_encoded
                rows.append(
                    {
                        "set": name,
                        "query": number,
                        "format": label,
                        "ndcg@10": round(ndcg_at_10(item.relevant, scores), 5),
                    }
                )
    results = {"dtype": arguments.dtype, "bytes_per_token": sizes, "rows": rows}
    arguments.out.parent.mkdir(exist_ok=True)
    text = json.dumps(results, separators=(",", ":")).replace("},{", "},\n{")
    arguments.out.write_text(text + "\n", encoding="utf-8")


def table(formats: dict[str, Any]) -> str:
    """What smaller formats take, and what they cost in nDCG@10."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in formats["rows"]:
        values[row["format"], row["set"]].append(row["ndcg@10"])
    names = list(formats["bytes_per_token"])
    lines = [f"| `store_format` | bytes a token | {' | '.join(SETS)} |"]
    lines += [f"|---|---{'|---' * len(SETS)}|"]
    for name in names:
        cells = " | ".join(_loss(values[name, each], values["exact", each]) for each in SETS)
        size = formats["bytes_per_token"][name]
        lines.append(f"| {_format(name, formats['dtype'])} | {size:,.0f} | {cells} |")
    return "\n".join([*lines, ""])


def _format(name: str, dtype: str) -> str:
    return f"`None` ({dtype})" if name == "exact" else f'`"{name}"`'


def _loss(found: list[float], exact: list[float]) -> str:
    """Mean nDCG@10 and its difference to what the model's own dtype gives."""
    mean = statistics.fmean(found)
    gap = mean - statistics.fmean(exact)
    return f"{mean:.4f} ({gap:+.4f}, n = {len(found)})"


if __name__ == "__main__":
    main()
