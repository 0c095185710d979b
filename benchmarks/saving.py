"""How much less a reader gets, and how often the answer is still there, at the default settings.

python -m benchmarks.saving DATA_FOLDER [--limit N] [--store FOLDER]

Queries that selected nothing and whose candidates contain the answer, in the order of
all-MiniLM-L6-v2's cosines, as from a retriever. Besides budgets: the first five chunks whole, and
chunks of at least the highest cosine that keeps 95% of the answers of queries that may select.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from attnmass import AttentionRanker
from attnmass.scoring.order import order
from attnmass.trimming import TokenCounter
from benchmarks import quality
from benchmarks.baselines import MiniLM
from benchmarks.data import N_FIT, SETS, parser
from benchmarks.metrics import cell
from benchmarks.sentence_data import Answered, read_answers
from benchmarks.sentence_metrics import answer_survives

RESULTS = Path(__file__).parent / "results" / "saving.json"
BUDGETS = (800, 400, 200)
FIXED = 5
CHOOSING = 60  # queries of each set that the threshold is chosen on
KEPT = 0.95

Row = dict[str, Any]


def main() -> None:
    """Measure and store one row for each query and method."""
    arguments = parser(__doc__, RESULTS, limit=60).parse_args()
    warnings.simplefilter("ignore")
    minilm = MiniLM()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        ranker = AttentionRanker.from_pretrained(
            quality.MODEL, store=arguments.store or folder, dtype=arguments.dtype
        )
        threshold = best_threshold(arguments.data, minilm)
        for name in SETS:
            queries = read_answers(arguments.data, name)[N_FIT[name] :][: arguments.limit]
            for number, item in enumerate(tqdm(queries, desc=name)):
                if answer_survives(item.texts, item.texts, item.answers) is not None:
                    found = measured(ranker, minilm, item, threshold)
                    rows += [{"set": name, "query": number, **row} for row in found]
    about = {"threshold": threshold, "layout": ranker.profile.layout, "rows": rows}
    text = json.dumps(about, separators=(",", ":")).replace("},{", "},\n{")
    arguments.out.write_text(f"{text}\n", encoding="utf-8")
    print(table(about))


def measured(
    ranker: AttentionRanker, minilm: MiniLM, item: Answered, threshold: float
) -> list[Row]:
    """What each method leaves of one query's candidates."""
    count = TokenCounter(ranker._plain.as_reader())
    cosines = minilm(item.query, item.texts)
    ranks = order(cosines)
    texts = [item.texts[i] for i in ranks]
    scores = [cosines[i] for i in ranks]
    left: dict[str, Sequence[str]] = {
        "all candidates": texts,
        f"MiniLM, first {FIXED}": texts[:FIXED],
        "MiniLM, best threshold": [
            text for text, score in zip(texts, scores, strict=True) if score >= threshold
        ],
        f"attnmass, first {FIXED}": [
            chunk.text for chunk in ranker.rank(item.query, texts, top_n=FIXED).chunks
        ],
    }
    for budget in BUDGETS:
        alone = ranker.trim(item.query, texts, max_tokens=budget)
        fused = ranker.trim(item.query, texts, max_tokens=budget, retrieval_scores=scores)
        left[f"attnmass, {budget} tokens"] = [chunk.text for chunk in alone.chunks]
        left[f"attnmass + MiniLM, {budget} tokens"] = [chunk.text for chunk in fused.chunks]
    return [
        {
            "method": method,
            "tokens": count.total(list(kept)),
            "survives": int(bool(answer_survives(item.texts, kept, item.answers))),
        }
        for method, kept in left.items()
    ]


def best_threshold(folder: Path, minilm: MiniLM) -> float:
    """The highest cosine that keeps 95% of the answers of queries that may select."""
    needed = []  # by query, the highest cosine of a chunk that says the answer
    for name in SETS:
        for item in read_answers(folder, name)[: min(CHOOSING, N_FIT[name])]:
            scores = [
                score
                for text, score in zip(item.texts, minilm(item.query, item.texts), strict=True)
                if answer_survives(item.texts, [text], item.answers)
            ]
            if scores:
                needed.append(max(scores))
    return round(float(np.quantile(needed, 1 - KEPT)), 4)


def table(about: dict[str, Any]) -> str:
    """Tokens and surviving answers by method and set."""
    rows = about["rows"]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = [
        f"| what a reader gets | {' | '.join(f'{name}: tokens | answers left' for name in SETS)} |",
        f"|---{'|---|---' * len(SETS)}|",
    ]
    for method in methods:
        cells = []
        for name in SETS:
            mine = [row for row in rows if (row["method"], row["set"]) == (method, name)]
            tokens = statistics.fmean(row["tokens"] for row in mine)
            cells += [f"{tokens:,.0f}", cell([row["survives"] for row in mine], count=False)]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    counts = ", ".join(
        f"{len({row['query'] for row in rows if row['set'] == name})} of {name}" for name in SETS
    )
    note = f"Queries whose candidates say the answer: {counts}."
    return "\n".join([*lines, "", note, ""])


if __name__ == "__main__":
    main()
