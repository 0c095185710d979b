"""How deep a first stage is worth reranking, over all distinct passages of a set as the corpus.

python -m benchmarks.deep DATA_FOLDER [--limit N] [--corpus-of N] [--store FOLDER]

BM25 and all-MiniLM-L6-v2's cosines each supply their first 20, 100 and 500 passages and all there
are, for queries that selected nothing. Each list is taken as it is, reordered by the shipped late
profile alone, and by both as with `fuse="auto"`. All passages were read beforehand: what is timed
is a warm call.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from attnmass import AttentionRanker
from benchmarks.baselines import MiniLM, bm25_over
from benchmarks.data import Labelled, read_set, test_part
from benchmarks.late_ranker import late_ranker
from benchmarks.metrics import cell, ndcg_of_ranks, recall_of_ranks

RESULTS = Path(__file__).parent / "results" / "deep.json"
SETS = ("nq", "hotpotqa_paragraphs")
DEPTHS = (20, 100, 500, None)  # None: the whole corpus
ORDERS = ("first stage", "attention", "fused")
FIRST_STAGES = ("BM25", "MiniLM cosine")
RECALLS = (1, 5, 20)
WARM_BYTES = 4 * 2**30

Row = dict[str, Any]
FirstStage = Callable[[str], Sequence[float]]


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--limit", type=int, default=60, help="queries of each set")
    parser.add_argument("--corpus-of", type=int, help="passages of so many queries (default: all)")
    parser.add_argument("--only", nargs="+", choices=SETS, default=SETS, help="renew these sets")
    parser.add_argument("--store", type=Path, help="where what was read is kept")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    found: dict[str, Any] = {"sets": {}}
    if arguments.out.exists():
        found = json.loads(arguments.out.read_text(encoding="utf-8"))
    with late_ranker(arguments, memory_bytes=WARM_BYTES) as ranker:
        minilm = MiniLM()
        for name in arguments.only:
            asked = test_part(arguments.data, name)[: arguments.limit]
            corpus = passages(read_set(arguments.data, name), asked, arguments.corpus_of)
            ranker.warm(corpus)
            stages: dict[str, FirstStage] = {
                "BM25": bm25_over(corpus),
                "MiniLM cosine": minilm.over(corpus),
            }
            rows = [
                {"query": number, **row}
                for number, query in enumerate(tqdm(asked, desc=name))
                for row in measured(ranker, stages, query, corpus)
            ]
            found["sets"][name] = {
                "passages": len(corpus),
                "corpus_of": arguments.corpus_of,
                "queries": len(asked),
                "threads": torch.get_num_threads(),
                "rows": rows,
            }
            text = json.dumps(found, separators=(",", ":")).replace("},{", "},\n{")
            arguments.out.write_text(f"{text}\n", encoding="utf-8")
    print(table(found))


def passages(
    queries: Sequence[Labelled], asked: Sequence[Labelled], corpus_of: int | None
) -> list[str]:
    """The distinct candidates of that many queries, including those that are asked."""
    others = [query for query in queries if query not in asked]
    used = [*asked, *others][:corpus_of] if corpus_of else list(queries)
    return list(dict.fromkeys(text for query in used for text in query.texts))


def measured(
    ranker: AttentionRanker,
    stages: dict[str, FirstStage],
    query: Labelled,
    corpus: Sequence[str],
) -> list[Row]:
    """By first stage, depth and order: where what is relevant ended up, and how long that took."""
    right = {text for text, yes in zip(query.texts, query.relevant, strict=True) if yes}
    rows: list[Row] = []
    for stage, first in stages.items():
        started = time.perf_counter()
        scores = first(query.query)
        fetched = np.argsort(-np.asarray(scores), kind="stable")
        seconds = time.perf_counter() - started
        for depth in DEPTHS:
            given = [int(i) for i in fetched[:depth]]
            texts = [corpus[i] for i in given]
            started = time.perf_counter()
            fused = ranker.rank(
                query.query, texts, retrieval_scores=[float(scores[i]) for i in given]
            )
            took = time.perf_counter() - started
            # The same call also says what attention alone would have ordered by.
            alone = sorted(fused.chunks, key=lambda chunk: (-chunk.share, chunk.index))
            for order, seen, cost in (
                ("first stage", texts, seconds),
                ("attention", [chunk.text for chunk in alone], took),
                ("fused", [chunk.text for chunk in fused.chunks], took),
            ):
                places = {text: place for place, text in enumerate(seen, start=1)}
                rows.append(
                    {
                        "first": stage,
                        "depth": depth,
                        "order": order,
                        "ranks": [places.get(text) for text in sorted(right)],
                        "ms": round(1000 * cost, 1),
                    }
                )
    return rows


def table(found: dict[str, Any]) -> str:
    """nDCG@10, recall of what the reader gets, and milliseconds, by set, first stage and depth."""
    return "\n".join(_of_set(name, of_set) for name, of_set in found["sets"].items())


def _of_set(name: str, found: dict[str, Any]) -> str:
    heads = ["nDCG@10", *(f"recall@{k}" for k in RECALLS), "ms"]
    lines = [
        f"| {name}, {found['passages']:,} passages | reranked | by | {' | '.join(heads)} |",
        f"|---|---|---{'|---' * len(heads)}|",
    ]
    for stage in FIRST_STAGES:
        mine = [row for row in found["rows"] if row["first"] == stage]
        whole = [row for row in mine if (row["depth"], row["order"]) == (None, "first stage")]
        lines.append(f"| {stage} | nothing | {' | '.join(['itself', *_cells(whole)])} |")
        for depth in DEPTHS:
            shown = "the whole corpus" if depth is None else f"its first {depth}"
            for order in ("attention", "fused"):
                if depth is None and order == "attention" and stage != FIRST_STAGES[0]:
                    continue  # the whole corpus is the same whoever supplies it
                rows = [row for row in mine if (row["depth"], row["order"]) == (depth, order)]
                lines.append(
                    f"| {stage} | {shown} | {' | '.join([_ORDER[order], *_cells(rows)])} |"
                )
    of = found["corpus_of"]
    held = "; ".join(f"{stage} {_held(found['rows'], stage)}" for stage in FIRST_STAGES)
    lines += [
        "",
        "Share of what is relevant among the passages that are handed over, "
        f"{', '.join(str(depth) for depth in DEPTHS if depth)} of them: {held}.",
        "",
        f"n = {found['queries']} queries; the corpus is what {of or 'all'} queries of the set have "
        f"as candidates, each passage once. Milliseconds are medians on {found['threads']} "
        f"thread{'s' if found['threads'] > 1 else ''}, beside other work on the machine.",
        "",
    ]
    return "\n".join(lines)


def _held(rows: Sequence[Row], stage: str) -> str:
    """What share of what is relevant a first stage supplies, by depth."""
    return ", ".join(
        f"{statistics.fmean(rank is not None for row in mine for rank in row['ranks']):.3f}"
        for depth in DEPTHS
        if depth is not None
        for mine in [
            [
                row
                for row in rows
                if (row["first"], row["depth"], row["order"]) == (stage, depth, "first stage")
            ]
        ]
    )


_ORDER = {"attention": "attention alone", "fused": "both"}


def _cells(rows: Sequence[Row]) -> list[str]:
    ranks = [row["ranks"] for row in rows]
    return [
        cell([ndcg_of_ranks(each) for each in ranks], count=False),
        *(cell([recall_of_ranks(each, k) for each in ranks], count=False) for k in RECALLS),
        f"{statistics.median(row['ms'] for row in rows):,.0f}",
    ]


if __name__ == "__main__":
    main()
