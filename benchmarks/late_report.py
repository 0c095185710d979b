"""The documentation's tables of the layout `late`, from raw results."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import SETS
from benchmarks.metrics import cell

RESULTS = Path(__file__).parent / "results" / "cross_encoder.json"

Values = dict[str, dict[str, list[float]]]

# What each was trained on, by the name it is shown under.
TRAINED = {
    "attnmass": "heads and weights of a language model, chosen on 325 questions",
    "attnmass + MiniLM": "the same, and what MiniLM was",
    "attnmass + BM25": "the same",
    "BM25": "nothing",
    "MiniLM cosine": "a billion pairs, Natural Questions among them",
}


def ranking_table(orders: dict[str, Any]) -> str:
    """nDCG@10 of the default and its rivals on the same queries, and what they learned from."""
    lines = [
        f"| nDCG@10 | trained on | {' | '.join(SETS)} | mean |",
        f"|---|---|---{'|---' * len(SETS)}|",
    ]
    counts = {name: len(rows) for name, rows in orders["sets"].items()}
    for method, found in _values(orders).items():
        cells = [cell(found[name], count=False) for name in SETS]
        mean = statistics.fmean(statistics.fmean(found[name]) for name in SETS)
        lines.append(f"| {method} | {_trained(method)} | {' | '.join(cells)} | {mean:.3f} |")
    told = ", ".join(f"{counts[name]} of {name}" for name in SETS)
    return "\n".join([*lines, "", f"Queries: {told}.", ""])


def short_ranking_table(orders: dict[str, Any]) -> str:
    """The same without intervals."""
    lines = [f"| nDCG@10 | {' | '.join(SETS)} |", f"|---{'|---' * len(SETS)}|"]
    for method, found in _values(orders).items():
        cells = [f"{statistics.fmean(found[name]):.3f}" for name in SETS]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _values(orders: dict[str, Any]) -> Values:
    """nDCG@10 by method and set, one value per query; all methods have the same queries."""
    names = {
        "attnmass + MiniLM": "minilm fused",
        "attnmass + BM25": "bm25 fused",
        "attnmass": "attention",
        "MiniLM cosine": "minilm",
        "BM25": "bm25",
    }
    found: Values = {
        shown: {name: [row[key] for row in rows] for name, rows in orders["sets"].items()}
        for shown, key in names.items()
    }
    known = _cross_encoders()
    for method in dict.fromkeys(row["method"] for row in known.get("rows", ())):
        found[f"cross-encoder, {method}"] = {
            name: [
                row["ndcg@10"]
                for row in known["rows"]
                if (row["method"], row["set"]) == (method, name)
                and row["query"] < len(orders["sets"][name])
            ]
            for name in SETS
        }
    return found


def _cross_encoders() -> dict[str, Any]:
    """What `benchmarks.cross_encoder` found, where it has run."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def _trained(method: str) -> str:
    if method in TRAINED:
        return TRAINED[method]
    about = _cross_encoders()["training"][method.removeprefix("cross-encoder, ")]
    return f"what MiniLM was, and {about['queries']:,} questions ({about['cpu_seconds']:,.0f} s)"


def evidence_table(relevance: dict[str, Any]) -> str:
    """AUROC and false alarms of evidence, by set and number of candidates."""
    heads = " | ".join(f"{way} | silenced | let through" for way in ("relevance", "both"))
    lines = [
        f"| AUROC (false alarms at 95% kept) | candidates | MiniLM cosine | {heads} |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in relevance["sets"].items():
        for size in found["relevance"]["others"]:
            told = [found[way]["others"][size] for way in _ways(found)]
            lines.append(f"| {name}, others | {int(size):,} | {_told(*told)} |")
        told = [found[way]["nearest"] for way in _ways(found)]
        lines.append(f"| {name}, nearest | its own | {_told(*told)} |")
    queries = ", ".join(
        f"{found['queries']} of {name}" for name, found in relevance["sets"].items()
    )
    return "\n".join([*lines, "", f"Queries: {queries}.", ""])


def _ways(found: dict[str, Any]) -> tuple[str, str, str]:
    """What evidence was told by: the retriever, relevance, both."""
    retriever = next(name for name in found if name.endswith("cosine"))
    return retriever, "relevance", "both"


def _told(retriever: dict[str, float], *ours: dict[str, float]) -> str:
    cells = [_area(retriever)]
    for one in ours:
        cells += [_area(one), f"{one['silenced']:.2f}", f"{one['let through']:.2f}"]
    return " | ".join(cells)


def _area(one: dict[str, float]) -> str:
    return f"{one['auroc']:.3f} ({one['false alarms at 95%']:.2f})"


def cost_table(cost: dict[str, Any]) -> str:
    """Medians, and ratios to a cross-encoder over the same pairs."""
    seconds, ratios = cost["seconds"], cost["ratios"]
    median = {name: float(np.median(times)) for name, times in seconds.items()}
    lines = ["| | seconds | over a cross-encoder of MiniLM-L6's size |", "|---|---|---|"]
    for shown, name, digits in (
        ("warm, 20 chunks", "warm 20", 3),
        ("warm, 200 chunks", "warm 200", 4),
        ("warm, 2,000 chunks", "warm 2000", 4),
        ("cold, 20 chunks", "cold 20", 2),
    ):
        ratio = ratios[f"{name} over cross-encoder"]
        lines.append(f"| {shown} | {median[name]:.3f} | {ratio:.{digits}f} |")
    for count, times in cost["seconds_from_disk"].items():
        lines.append(
            f"| from the store on disk, {int(count):,} chunks | {np.median(times):.2f} | |"
        )
    return "\n".join(
        [
            *lines,
            "",
            f"2,000 chunks have {cost['tokens_of_2000_chunks']:,} tokens; "
            f"{cost['dtype'].removeprefix('torch.')}, {cost['threads']} threads.",
            "",
        ]
    )


def why(
    cost: dict[str, Any], late: dict[str, Any], quality: dict[str, Any], relevance: dict[str, Any]
) -> str:
    """Three reasons, a number in each."""
    queries = {row["query"] for row in late["rows"] if row["set"] == "musique"}
    others = {
        method: statistics.fmean(
            row["ndcg@10"]
            for row in quality["rows"]
            if (row["set"], row["method"]) == ("musique", method) and row["query"] in queries
        )
        for method in ("MiniLM cosine", "BM25")
    }
    told = [found["relevance"]["others"]["20"]["auroc"] for found in relevance["sets"].values()]
    seconds = float(np.median(cost["seconds"]["warm 2000"]))
    ratio = cost["ratios"]["warm 2000 over cross-encoder"]
    mine = late["means"]["musique"]["late"][0]
    return (
        "- **Chunks are read once.** attnmass keeps "
        f"{late['bytes_a_token']:.0f} bytes per token, and a question over 2,000 kept chunks\n"
        f"  takes {seconds:.2f} s on {cost['threads']} cores: "
        f"{100 * ratio:.1f}% of the time of a cross-encoder the size of MiniLM-L6.\n"
        "- **No model is trained.** On MuSiQue, where an answer takes several documents, nDCG@10 "
        f"is {mine:.2f};\n  all-MiniLM-L6-v2 has {others['MiniLM cosine']:.2f}, BM25 "
        f"{others['BM25']:.2f}.\n"
        "- **It says when there is nothing.** Evidence tells whether the answer is among 20 chunks "
        "from other\n"
        f"  questions with an area under the ROC curve of {min(told):.2f} to {max(told):.2f} "
        "([what the numbers mean](docs/numbers.md#relevance)).\n"
    )
