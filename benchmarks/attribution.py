"""Whether an answer looks at what supports it: gold answers as texts, on unseen queries.

Support is measured with the supporting chunks, and with other queries' chunks in their place.

python -m benchmarks.attribution DATA_FOLDER [--limit N] [--fit]
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from attnmass import AttentionRanker
from benchmarks.data import N_FIT, SETS
from benchmarks.evidence import auroc, false_alarms, pairs, threshold_that_keeps
from benchmarks.metrics import cell
from benchmarks.sentence_data import read_answers

RESULTS = Path(__file__).parent / "results" / "attribution.json"
MODEL = "smollm2-135m"

Row = dict[str, Any]


def main() -> None:
    """Measure and store one row for each query, or print what a threshold would be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--limit", type=int, help="queries of each set (default: all)")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--fit", action="store_true", help="a threshold from the part that fits")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    ranker = AttentionRanker.from_pretrained(MODEL)
    rows: list[Row] = []
    for name in arguments.sets:
        first, last = (0, N_FIT[name]) if arguments.fit else (N_FIT[name], None)
        numbers = range(len(pairs(arguments.data, name)))[first:last][: arguments.limit]
        rows += measure(ranker, arguments.data, name, numbers)
        if arguments.fit:
            continue
        about = {
            "profile": json.loads(ranker.profile.to_json())["heads"],
            "fit_queries_left_out": N_FIT,
            "rows": rows,
        }
        text = json.dumps(about, separators=(",", ":")).replace("},{", "},\n{")
        arguments.out.write_text(text + "\n", encoding="utf-8")
    present, absent = ([row[name] for row in rows] for name in ("support", "support_absent"))
    print("threshold that keeps 95%:", threshold_that_keeps(present), "of", len(rows))
    print("AUROC:", auroc(present, absent), "false alarms:", false_alarms(present, absent))


def measure(ranker: AttentionRanker, folder: Path, name: str, numbers: range) -> Iterator[Row]:
    """One row for each of some queries of a set."""
    known, answers = pairs(folder, name), read_answers(folder, name)
    for number in tqdm(numbers, desc=name):
        pair, answer = known[number], answers[number].answers[0]
        found = ranker.attribute(pair.query, pair.present, answer)
        without = ranker.attribute(pair.query, pair.absent, answer)
        scores = ranker.rank(pair.query, pair.present).scores
        by_query = max(range(len(scores)), key=lambda index: scores[index])
        yield {
            "set": name,
            "query": number,
            "answer": pair.relevant[found.ranked[0]],
            "query_alone": pair.relevant[by_query],
            "chance": round(sum(pair.relevant) / len(pair.relevant), 5),
            "support": round(max(each.support for each in found.sentences), 5),
            "support_absent": round(max(each.support for each in without.sentences), 5),
        }


def table(results: dict[str, Any]) -> str:
    """How often a supporting chunk is first, and how well support shows that one is there."""
    rows = results["rows"]
    sets = [name for name in SETS if any(row["set"] == name for row in rows)]
    lines = [
        "| a supporting chunk is first | by the answer | by the query alone | by chance |",
        "|---|---|---|---|",
    ]
    tells = ["| support | AUROC | false alarms at 95% kept | queries |", "|---|---|---|---|"]
    for name in sets:
        mine = [row for row in rows if row["set"] == name]
        cells = [cell([row[kind] for row in mine]) for kind in ("answer", "query_alone")]
        chance = sum(row["chance"] for row in mine) / len(mine)
        lines.append(f"| {name} | {' | '.join(cells)} | {chance:.3f} |")
        present, absent = ([row[key] for row in mine] for key in ("support", "support_absent"))
        tells.append(
            f"| {name} | {auroc(present, absent):.3f} | {false_alarms(present, absent):.2f} "
            f"| {len(mine)} |"
        )
    return "\n".join([*lines, "", *tells, ""])


if __name__ == "__main__":
    main()
