"""The documentation's tables of trimming and evidence, from raw results."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from benchmarks.evidence import SHAPES, auroc, false_alarms
from benchmarks.metrics import cell
from benchmarks.sentence_metrics import PERCENTS

Rows = list[dict[str, Any]]

_SHAPE_NAMES = {
    "as fetched": "as they are in the set",
    "half": "half of them",
    "few": "up to 5 of them",
    "joined": "joined two by two",
    "long": "each among two chunks of other queries",
}


def tables(results: dict[str, Any]) -> str:
    """All that was measured, in the order of the page."""
    threshold = results["profile"]["evidence"]["threshold"]
    parts: dict[str, Callable[[Rows], str]] = {
        "sentences": _sentences,
        "answers": _answers,
        "evidence": lambda rows: _evidence(rows, threshold),
        "context": _context,
    }
    return "\n".join(table(results[name]) for name, table in parts.items() if name in results)


def _sentences(rows: Rows) -> str:
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    names = ["auc", *map(str, PERCENTS)]
    for row in rows:
        for name in names:
            found[row["method"]][name].append(row[name])
    heads = ["area under ROC", *(f"kept in {percent}%" for percent in PERCENTS)]
    lines = [f"| supporting sentences | {' | '.join(heads)} |", f"|---{'|---' * len(heads)}|"]
    lines += [
        f"| {method} | {' | '.join(cell(values[name], count=False) for name in names)} |"
        for method, values in found.items()
    ]
    counts = {method: len(values["auc"]) for method, values in found.items()}
    n = max(counts.values())
    fewer = "".join(f"; {method}: {count}" for method, count in counts.items() if count < n)
    return "\n".join([*lines, "", f"n = {n} queries of HotpotQA, none of which fitted{fewer}.", ""])


def _answers(rows: Rows) -> str:
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row["method"]][row["budget"]].append(row["survives"])
    budgets = sorted({row["budget"] for row in rows}, reverse=True)
    lines = [
        f"| answers left | {' | '.join(f'{budget} tokens' for budget in budgets)} |",
        f"|---{'|---' * len(budgets)}|",
    ]
    lines += [
        f"| {method} | {' | '.join(cell(values[each], count=False) for each in budgets)} |"
        for method, values in found.items()
    ]
    n = len({row["query"] for row in rows})
    note = f"n = {n} queries of Natural Questions whose 20 candidates say the answer somewhere."
    return "\n".join([*lines, "", note, ""])


def _evidence(rows: Rows, threshold: float) -> str:
    fetched = [row for row in rows if row["shape"] == SHAPES[0]]
    lines = [
        "| evidence | AUROC | where a supporting chunk ranks first | false alarms at 95% kept "
        "| kept by the shipped threshold | its false alarms | queries |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["set"] for row in fetched):
        mine = [row for row in fetched if row["set"] == name]
        first = [row for row in mine if row["supporting_chunk_first"]]
        present, absent = _two(mine)
        lines.append(
            f"| {name} | {auroc(present, absent):.3f} | {auroc(*_two(first)):.3f} "
            f"(n = {len(first)}) | {false_alarms(present, absent):.2f} "
            f"| {' | '.join(_at(threshold, mine))} | {len(mine)} |"
        )
    lines += [
        "",
        "The same queries of all sets, had a pipeline fetched other shapes of candidates:",
        "",
        "| candidates | AUROC | kept by the shipped threshold | its false alarms | queries |",
        "|---|---|---|---|---|",
    ]
    asked = {(row["set"], row["query"]) for row in rows if row["shape"] != SHAPES[0]}
    for shape in SHAPES:
        mine = [r for r in rows if r["shape"] == shape and (r["set"], r["query"]) in asked]
        lines.append(
            f"| {_SHAPE_NAMES[shape]} | {auroc(*_two(mine)):.3f} "
            f"| {' | '.join(_at(threshold, mine))} | {len(mine)} |"
        )
    return "\n".join([*lines, ""])


def _at(threshold: float, rows: Rows) -> list[str]:
    """Share of answerable and of unanswerable queries that a threshold answers."""
    return [f"{statistics.fmean(value >= threshold for value in part):.2f}" for part in _two(rows)]


def _two(rows: Rows) -> tuple[list[float], list[float]]:
    return [row["present"] for row in rows], [row["absent"] for row in rows]


def _context(rows: Rows) -> str:
    hard = [row for row in rows if not row["sentence before"]]
    lines = [
        "| antecedent found | all | where it is not in the sentence before |",
        "|---|---|---|",
    ]
    for method in ("attention", "sentence before", "chance"):
        cells = [cell([row[method] for row in part]) for part in (rows, hard)]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    gap = cell([row["attention"] - row["sentence before"] for row in rows], count=False)
    note = f"Attention over the sentence before, on the same sentences: {gap}."
    return "\n".join([*lines, "", note, ""])
