"""Relevance beside ordinary text, and beside a sample of the corpus that is searched.

python -m benchmarks.backgrounds DATA_FOLDER [--limit N] [--store FOLDER]

Evidence is as in `benchmarks.relevance`, at 20 candidates; the sample is of chunks of queries that
are not asked, and the others are chunks of the same set that are not in it.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from attnmass import AttentionRanker
from benchmarks.data import SETS, Labelled, parser, test_part
from benchmarks.late_ranker import late_ranker
from benchmarks.relevance import Evidence, others, told

RESULTS = Path(__file__).parent / "results" / "backgrounds.json"
SAMPLE = 80
COMPANY = 20


def main() -> None:
    """Measure and store."""
    arguments = parser(__doc__, RESULTS, limit=30).parse_args()
    warnings.simplefilter("ignore")
    found: dict[str, Any] = {}
    with late_ranker(arguments) as ranker:
        for name in SETS:
            queries = test_part(arguments.data, name)
            asked, rest = queries[: arguments.limit], queries[arguments.limit :]
            pool = others(rest, asked, SAMPLE + 5 * COMPANY)
            sample, company = pool[:SAMPLE], pool[SAMPLE:]
            own = ranker.with_background(sample)
            found[name] = {"queries": len(asked), "ordinary": measured(ranker, asked, company)}
            found[name]["own corpus"] = measured(own, asked, company)
            text = json.dumps({"sets": found}, indent=1)
            arguments.out.write_text(f"{text}\n", encoding="utf-8")


def measured(
    ranker: AttentionRanker, asked: list[Labelled], company: list[str]
) -> dict[str, dict[str, float | None]]:
    """Both kinds of evidence beside one background."""
    rule = ranker.profile.relevance
    assert rule is not None
    threshold = rule.evidence_threshold
    present, absent, answered, near = [], [], [], []
    for number, query in enumerate(tqdm(asked)):
        chunks = [*query.texts, *company]
        by_index = sorted(ranker.rank(query.query, chunks).chunks, key=lambda chunk: chunk.index)
        relevance = np.array([chunk.relevance or 0.0 for chunk in by_index])
        evidence = Evidence.of(query.query, chunks, relevance, rule)
        n_own, mine = len(query.texts), np.array(query.relevant, dtype=bool)
        drawn = n_own + np.random.default_rng(number).permutation(len(company))[:COMPANY]
        present.append(evidence(np.concatenate([np.flatnonzero(mine), drawn[:-1]])))
        absent.append(evidence(drawn))
        answered.append(evidence(np.arange(n_own)))
        near.append(evidence(np.flatnonzero(~mine)))
    return {"others": told(present, absent, threshold), "nearest": told(answered, near, threshold)}


def table(found: dict[str, Any]) -> str:
    """AUROC, and what the shipped threshold makes of it, beside both backgrounds."""
    lines = [
        "| | compared with | AUROC | false alarms at 95% kept | silenced | let through |",
        "|---|---|---|---|---|---|",
    ]
    for name, of_set in found["sets"].items():
        for kind in ("others", "nearest"):
            for background in ("ordinary", "own corpus"):
                one = of_set[background][kind]
                lines.append(
                    f"| {name}, {kind} | {background} | {one['auroc']:.3f} "
                    f"| {one['false alarms at 95%']:.2f} | {one['silenced']:.2f} "
                    f"| {one['let through']:.2f} |"
                )
    counts = ", ".join(f"{of_set['queries']} of {name}" for name, of_set in found["sets"].items())
    return "\n".join([*lines, "", f"Queries: {counts}.", ""])


if __name__ == "__main__":
    main()
