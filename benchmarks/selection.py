"""Ways to select heads, fitted on some queries and measured on others.

python -m benchmarks.selection DATA_FOLDER [--model NAME] [--fit N] [--test N]
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
from attnmass.fitting.captures.arrays import Arrays, Choice, Quality
from attnmass.fitting.heads.methods import METHODS, Task, of_count
from attnmass.fitting.shares.ranking import Exponents, Sharing
from attnmass.models.sizes import every_head
from attnmass.profiles import default_profile, packaged_profile
from benchmarks.baselines import bm25
from benchmarks.data import N_FIT, SETS, Labelled, fit_part, test_part
from benchmarks.heads import config_of, masses_of
from benchmarks.metrics import cell

RESULTS = Path(__file__).parent / "results" / "selection.json"

COUNTS = (1, 2, 4, 8, 16)  # heads

NAMES = {
    "single": "nDCG of each head alone",
    "gold_mass": "mass on what is relevant (QRHead)",
    "contrastive": "against hard negatives (after CoRe)",
    "stability": "forward selection on bootstrap samples",
    "listwise": "listwise regression, non-negative, L1",
    "rule": "mass shared out by a rule, of either sign",
}
RULE = "rule"


def main() -> None:
    """Capture every head once, select, measure, store one value for each query and choice."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--fit", type=int, default=100, help="queries of each set that select")
    parser.add_argument("--test", type=int, default=60, help="queries of each set that judge")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    ranker = AttentionRanker.from_pretrained(arguments.model, heads="all", memory_bytes=0)
    heads = every_head(config_of(ranker))

    parts: list[tuple[str, str, list[Labelled]]] = [
        *(
            ("fit", name, fit_part(arguments.data, name)[: arguments.fit])
            for name in SETS
            if N_FIT[name]
        ),
        *(("test", name, test_part(arguments.data, name)[: arguments.test]) for name in SETS),
    ]
    queries = [(part, name, query) for part, name, found in parts for query in found]
    quality = Quality(
        Arrays.stack(
            [masses_of(ranker, query) for _, _, query in tqdm(queries, desc="reading")],
            [query.relevant for _, _, query in queries],
            [np.array(bm25(query.query, query.texts)) for _, _, query in queries],
            [list(SETS).index(name) for _, name, _ in queries],
        )
    )
    fitted = np.array([row for row, (part, _, _) in enumerate(queries) if part == "fit"])
    task = Task(fitted, np.arange(len(heads)), max(COUNTS))
    choices: dict[tuple[str, int], Choice] = {
        (method, count): of_count(found, count)
        for method, select in METHODS.items()
        for found in [select(quality, task)]
        for count in COUNTS
    }
    config = config_of(ranker)
    known = {
        "all heads": heads,
        "mid-depth default": default_profile(config, "parallel").heads,
    }
    shipped = packaged_profile(config, "parallel")
    if shipped is not None:
        known["shipped profile, mass alone"] = shipped.heads
    for label, mine in known.items():
        choices[label, len(mine)] = Choice.equal([heads.index(head) for head in mine])
    folds = np.array([part == "test" for part, _, _ in queries], dtype=np.int64)
    sharing = Sharing(quality.arrays, folds, np.arange(len(heads)))
    values_of = {key: quality.of_choice(choice) for key, choice in choices.items()}
    values_of |= {
        (RULE, count): sharing.values(rule) for count, rule in sharing.path(frozenset({1})).items()
    }
    if shipped is not None and shipped.ranking is not None:
        wanted = [heads.index(head) for head in shipped.ranking.heads]
        rule = Exponents(tuple(wanted), shipped.ranking.exponents)
        values_of["shipped profile, its rule", len(wanted)] = sharing.values(rule)
    rows: list[dict[str, Any]] = []
    for (method, count), values in tqdm(values_of.items(), desc="measuring"):
        rows += [
            {
                "method": method,
                "heads": count,
                "set": name,
                "query": row,
                "ndcg@10": round(float(values[row]), 5),
            }
            for row, (part, name, _) in enumerate(queries)
            if part == "test"
        ]
    about = {
        "model": arguments.model,
        "fit": {name: len(found) for part, name, found in parts if part == "fit"},
        "chosen": {
            f"{method} {count}": [list(heads[i]) for i in choice.heads]
            for (method, count), choice in choices.items()
            if method in METHODS
        },
        "rows": rows,
    }
    text = json.dumps(about, separators=(",", ":")).replace("},{", "},\n{")
    arguments.out.write_text(text + "\n", encoding="utf-8")


def table(results: dict[str, Any]) -> str:
    """nDCG@10 of each way to select, with 4 and 16 heads, on queries that selected none."""
    found: dict[tuple[str, int], dict[str, list[float]]] = {}
    for row in results["rows"]:
        key = row["method"], row["heads"]
        found.setdefault(key, {}).setdefault(row["set"], []).append(row["ndcg@10"])
    lines = [
        f"| heads selected by | heads | {' | '.join(SETS)} |",
        f"|---|---{'|---' * len(SETS)}|",
    ]
    for (method, count), values in found.items():
        if method in NAMES and count not in (4, 16):
            continue
        cells = [cell(values[name]) for name in SETS]
        lines.append(f"| {NAMES.get(method, method)} | {count} | {' | '.join(cells)} |")
    fitted = " and ".join(f"{count} queries of {name}" for name, count in results["fit"].items())
    note = (
        f"nDCG@10 of {results['model']}; selected on {fitted}, measured on others. The shipped "
        "profile was selected on more of the same sets."
    )
    return "\n".join([*lines, "", note, ""])


if __name__ == "__main__":
    main()
