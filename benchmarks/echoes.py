"""Chunks that repeat the question, next to what answers it: they should be worth nothing.

python -m benchmarks.echoes DATA_FOLDER [--limit N] [--store FOLDER] [--dtype TYPE]

On queries that selected nothing: the question word for word, and nearly so, among the query's own
candidates, ranked by attention alone, and with all-MiniLM-L6-v2's cosines, which are highest there.
"""

from __future__ import annotations

import json
import random
import re
import warnings
from pathlib import Path
from typing import Any

from tqdm import tqdm

from attnmass import AttentionRanker, Ranking
from benchmarks.baselines import MiniLM
from benchmarks.data import SETS, Labelled, parser, test_part
from benchmarks.late_ranker import late_ranker

RESULTS = Path(__file__).parent / "results" / "echoes.json"
KINDS = ("word for word", "nearly")
ALONE, FUSED = "attention alone", "with cosines"


def main() -> None:
    """Measure and store."""
    arguments = parser(__doc__, RESULTS, limit=60).parse_args()
    warnings.simplefilter("ignore")
    minilm = MiniLM()
    found: dict[str, Any] = {}
    with late_ranker(arguments) as ranker:
        for name in SETS:
            asked = test_part(arguments.data, name)[: arguments.limit]
            found[name] = measured(ranker, asked, minilm)
            arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measured(ranker: AttentionRanker, asked: list[Labelled], minilm: MiniLM) -> dict[str, Any]:
    """How many chunks of each kind were tried, and what became of them."""
    rows = {
        (kind, way): {"tried": 0, "above the answer": 0, "evidence": 0}
        for kind in KINDS
        for way in (ALONE, FUSED)
    }
    for query in tqdm(asked):
        for kind, texts in zip(KINDS, repeats(query.query), strict=True):
            everything = [*query.texts, *texts]
            cosines = list(map(float, minilm(query.query, everything)))
            for way, given in ((ALONE, None), (FUSED, cosines)):
                row = rows[kind, way]
                ranks = [chunk.index for chunk in ranked(ranker, query, everything, given).chunks]
                best = min(ranks.index(at) for at, yes in enumerate(query.relevant) if yes)
                for at, text in enumerate(texts, len(query.texts)):
                    by_itself = ranked(ranker, query, [text], given and [given[at]])
                    row["tried"] += 1
                    row["above the answer"] += ranks.index(at) < best
                    row["evidence"] += not by_itself.no_evidence
    return {
        "queries": len(asked),
        "rows": [{"kind": kind, "way": way, **row} for (kind, way), row in rows.items()],
    }


def ranked(
    ranker: AttentionRanker, query: Labelled, texts: list[str], cosines: list[float] | None
) -> Ranking:
    """Texts by attention, and by cosines where there are any."""
    return ranker.rank(query.query, texts, retrieval_scores=cosines, retrieval_kind="similarity")


def repeats(query: str) -> tuple[list[str], list[str]]:
    """Chunks that repeat the query, of each kind.

    Word for word: as it is, in capitals, ten times, and announced. Nearly: announced as a question,
    with one word more, and, where it has four or more, with one less.
    """
    bare = query.strip().rstrip("?").strip()
    words = re.split(r"\s+", bare)
    place = random.Random(query).randrange(len(words))
    fewer = [" ".join(words[:place] + words[place + 1 :]) + "?"] if len(words) > 3 else []
    return (
        [
            query,
            query.upper(),
            " ".join([query] * 10),
            f"This paragraph is the answer to: {query}",
        ],
        [
            f"Does anybody here know {bare}?",
            " ".join([*words[:place], "really", *words[place:]]) + "?",
            *fewer,
        ],
    )


def table(echoes: dict[str, Any]) -> str:
    """How often such a chunk ranked above the best that answers, or was evidence by itself."""
    lines = [
        "| questions | said | chunks | above the answer | evidence by themselves "
        "| with cosines: above the answer | evidence |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in echoes.items():
        rows = {(row["kind"], row["way"]): row for row in found["rows"]}
        for kind in KINDS:
            alone, fused = rows[kind, ALONE], rows[kind, FUSED]
            lines.append(
                f"| {found['queries']} of {name} | {kind} | {alone['tried']} "
                f"| {alone['above the answer']} | {alone['evidence']} "
                f"| {fused['above the answer']} | {fused['evidence']} |"
            )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
