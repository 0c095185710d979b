"""Which way to read an encoder's attention: query to chunk, back, or both; on queries that may fit.

Heads are selected on one half of the queries of each set and measured on the other, and vice versa,
so that no query is measured with heads that it selected.

python -m benchmarks.directions DATA_FOLDER [--model NAME] [--limit N]
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
from attnmass.fitting.captures.arrays import Arrays, Quality
from attnmass.fitting.heads.methods import Task, of_count, stability
from attnmass.options.declared import PointwiseReading
from benchmarks.baselines import bm25
from benchmarks.data import N_FIT, SETS, Labelled, fit_part
from benchmarks.heads import all_heads, masses_of
from benchmarks.metrics import interval, ndcg_at_10

RESULTS = Path(__file__).parent / "results" / "directions.json"

N_HEADS = 4


def main() -> None:
    """Capture both ways once, compare, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--model", default="all-minilm-l6-v2")
    parser.add_argument("--limit", type=int, default=80, help="queries of each set")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    heads = all_heads(arguments.model)
    queries = {
        name: fit_part(arguments.data, name)[: arguments.limit] for name in SETS if N_FIT[name]
    }
    captured: dict[str, dict[str, list[np.ndarray]]] = {}
    for direction in ("query_to_chunk", "chunk_to_query"):
        ranker = AttentionRanker.from_pretrained(
            arguments.model,
            heads=heads,
            reading=PointwiseReading(direction=direction),
            dtype="float32",
        )
        captured[direction] = {
            name: [masses_of(ranker, query) for query in tqdm(part, desc=f"{direction} {name}")]
            for name, part in queries.items()
        }
    there, back = captured.values()
    captured["both"] = {
        name: [(a + b) / 2 for a, b in zip(there[name], back[name], strict=True)] for name in there
    }
    results: dict[str, Any] = {}
    for direction, masses in captured.items():
        everything = list(range(len(heads)))
        values: dict[str, list[float]] = {
            f"{name}, {what}": [] for what in ("all heads", "selected") for name in queries
        }
        for half in (0, 1):
            fit = {name: part[half::2] for name, part in queries.items()}
            fit_masses = {name: part[half::2] for name, part in masses.items()}
            chosen = select(fit, fit_masses)
            print(direction, half, [heads[i] for i in chosen])
            for name, part in queries.items():
                rest = zip(part[1 - half :: 2], masses[name][1 - half :: 2], strict=True)
                for query, found in rest:
                    for what, used in (("all heads", everything), ("selected", chosen)):
                        score = ndcg_at_10(query.relevant, found[used].mean(axis=0))
                        values[f"{name}, {what}"].append(score)
        results[direction] = {}
        for what, listed in values.items():
            mean = interval(listed)
            results[direction][what] = {
                "queries": len(listed),
                "ndcg@10": round(mean.mean, 3),
                "interval95": [round(mean.low, 3), round(mean.high, 3)],
            }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=1))


def select(fit: dict[str, list[Labelled]], masses: dict[str, list[np.ndarray]]) -> list[int]:
    """Heads that forward selection takes on most bootstrap samples of these queries."""
    pairs = [
        (number, query, found)
        for number, name in enumerate(fit)
        for query, found in zip(fit[name], masses[name], strict=True)
    ]
    arrays = Arrays.stack(
        [found for _, _, found in pairs],
        [query.relevant for _, query, _ in pairs],
        [np.array(bm25(query.query, query.texts)) for _, query, _ in pairs],
        [number for number, _, _ in pairs],
    )
    task = Task(np.arange(len(pairs)), np.arange(arrays.masses.shape[1]), N_HEADS)
    return list(of_count(stability(Quality(arrays), task), N_HEADS).heads)


if __name__ == "__main__":
    main()
