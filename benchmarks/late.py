"""What the late layout ranks, query by query, beside the parallel one on the same queries.

python -m benchmarks.late DATA_FOLDER [--limit N] [--model NAME --out FILE]

Queries are those that selected nothing; the parallel layout's values are those of
`benchmarks.quality`, or, for a model other than the default, of `benchmarks.models`. Where that has
not been run for a model, late stands alone. What was ranked is kept after each query, and a second
run with the same heads resumes from there.
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
from attnmass.fitting.metrics import interval
from benchmarks import models, quality
from benchmarks.data import SETS, test_part
from benchmarks.late_ranker import results_of
from benchmarks.metrics import ndcg_at_10

METHOD = "attnmass, late"
RESULTS = Path(__file__).parent / "results" / "late.json"


def main() -> None:
    """Measure and store one value for each query."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--model", default=quality.MODEL)
    parser.add_argument("--limit", type=int, help="queries of each set (default: all)")
    parser.add_argument("--profile", type=Path, help="another profile of the layout")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--out", type=Path, help="default: results/late.json, or with the model")
    arguments = parser.parse_args()
    model = arguments.model
    out = arguments.out or results_of(model, RESULTS)
    warnings.simplefilter("ignore")
    ranker = AttentionRanker.from_pretrained(
        model, layout="late", profile=arguments.profile, memory_bytes=0, dtype=arguments.dtype
    )
    known = parallel(model)
    rows = ranked_before(out, ranker)
    done = {(row["set"], row["query"]) for row in rows}
    for name in SETS:
        queries = test_part(arguments.data, name)[: arguments.limit]
        if model != quality.MODEL and known:  # of which fewer were measured
            queries = [item for n, item in enumerate(queries) if (name, n) in known]
        for number, item in enumerate(tqdm(queries, desc=name)):
            if (name, number) in done:
                continue
            scores = list(ranker.rank(item.query, item.texts).scores)
            rows.append(
                {
                    "set": name,
                    "query": number,
                    "method": METHOD,
                    "ndcg@10": round(ndcg_at_10(item.relevant, scores), 5),
                }
            )
            write(out, ranker, rows, known)
    print(json.dumps(json.loads(out.read_text(encoding="utf-8"))["means"], indent=1))


def ranked_before(out: Path, ranker: AttentionRanker) -> list[dict[str, Any]]:
    """Rows of an earlier run with the same heads."""
    if not out.exists():
        return []
    about = json.loads(out.read_text(encoding="utf-8"))
    same = about["heads"] == [list(head) for head in ranker.profile.all_heads]
    return list(about["rows"]) if same and about.get("rule") == rule_of(ranker) else []


def rule_of(ranker: AttentionRanker) -> list[float]:
    """The exponents that share mass out."""
    rule = ranker.profile.ranking
    return [] if rule is None else list(rule.exponents)


def write(
    out: Path,
    ranker: AttentionRanker,
    rows: list[dict[str, Any]],
    known: dict[tuple[str, int], float],
) -> None:
    """Store what has been measured so far."""
    about = {
        "heads": [list(head) for head in ranker.profile.all_heads],
        "rule": rule_of(ranker),
        "bytes_a_token": bytes_a_token(ranker),
        "means": {name: means(rows, name, known) for name in {row["set"]: 0 for row in rows}},
        "rows": rows,
    }
    out.write_text(
        json.dumps(about, separators=(",", ":")).replace("},{", "},\n{") + "\n", encoding="utf-8"
    )


def parallel(model: str) -> dict[tuple[str, int], float]:
    """nDCG@10 of the parallel layout, by set and query, as it was measured."""
    if model != quality.MODEL:
        every = json.loads(models.RESULTS.read_text(encoding="utf-8"))
        found = every[model]["rows"] if model in every else []
    else:
        found = json.loads(quality.RESULTS.read_text(encoding="utf-8"))["rows"]
        found = [row for row in found if row["method"] == "attnmass"]
    return {(row["set"], row["query"]): row["ndcg@10"] for row in found}


def means(
    rows: list[dict[str, Any]], name: str, known: dict[tuple[str, int], float]
) -> dict[str, list[float]]:
    """Mean, and its bootstrap interval, of each layout and of their difference, for a set."""
    mine = [row for row in rows if row["set"] == name]
    late = np.array([row["ndcg@10"] for row in mine])
    one_set = np.zeros(len(mine), dtype=np.int64)
    found = {"late": late}
    if known:
        found["parallel"] = np.array([known[name, row["query"]] for row in mine])
        found["difference"] = late - found["parallel"]
    return {
        name: [round(float(x), 4) for x in (made.mean, made.low, made.high)]
        for name, made in ((name, interval(values, one_set)) for name, values in found.items())
    }


def bytes_a_token(ranker: AttentionRanker) -> float:
    """What is kept for a token, in the store's own bytes."""
    layout = ranker._layout
    (tokens,) = ranker._plain.content(["The river runs through the city. " * 20])
    held = layout._chunks.read([tokens], ranker._options, lambda _: None)  # type: ignore[attr-defined]
    (vectors,) = held.keys
    return round(float(vectors.nbytes) / len(tokens), 1)


if __name__ == "__main__":
    main()
