"""Writes the documentation's tables from the raw results: `python -m benchmarks.report`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    answers,
    attribution,
    backgrounds,
    cache_formats,
    cost,
    cpu,
    deep,
    echoes,
    late_report,
    models,
    paper,
    relevance_fit,
    saving,
    scaling,
    selection,
    single,
    tiers,
    trimming_report,
    unfitted,
)
from benchmarks.data import SETS
from benchmarks.metrics import cell

FOLDER = Path(__file__).parent / "results"
FITS = FOLDER / "fits"
ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

METHODS = {  # by how they are shown
    "attnmass": "attnmass, `parallel`",
    "attnmass, float32": "the same in float32",
    "attnmass + MiniLM": "`parallel` + MiniLM",
    "attnmass + MiniLM, fuse=0.3": "`parallel` + MiniLM, fuse=0.3",
    "attnmass + MiniLM, fuse=0.7": "`parallel` + MiniLM, fuse=0.7",
    "MiniLM cosine": "MiniLM cosine",
    "BM25": "BM25",
    "ICR, all heads": "ICR, all heads",
}


def main() -> None:
    """Replace what is between markers in README and docs, for what was measured."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name, (table, files) in TABLES.items():
            if _begin(name) in text and all((FOLDER / file).exists() for file in files):
                text = _replace(text, name, table(*map(_read, files)))
        page.write_text(text, encoding="utf-8")


def quality_table(results: dict[str, Any]) -> str:
    """nDCG@10 and recall@2 by method and set, with intervals."""
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in results["rows"]:
        for metric in ("ndcg@10", "recall@2"):
            values[row["method"], row["set"], metric].append(row[metric])
    lines = []
    for metric in ("ndcg@10", "recall@2"):
        name = {"ndcg@10": "nDCG@10", "recall@2": "recall@2"}[metric]
        lines += [f"| {name} | {' | '.join(SETS)} |", f"|---{'|---' * len(SETS)}|"]
        for method, shown in METHODS.items():
            cells = [cell(values[method, each, metric]) for each in SETS]
            lines.append(f"| {shown} | {' | '.join(cells)} |")
        lines.append("")
    gaps = [
        f"{name} {_mean_gap(results['rows'], name, 'attnmass', 'attnmass, float32'):+.4f}"
        for name in SETS
    ]
    lines += [
        f"The default dtype was {results['dtype']} here; on the queries that were also ranked in "
        f"float32, its nDCG@10 differs by: {', '.join(gaps)}.",
        "",
    ]
    return "\n".join(lines)


def _mean_gap(rows: list[dict[str, Any]], name: str, one: str, other: str) -> float:
    """Mean difference in nDCG@10 of two methods over the queries that both have."""
    values: dict[str, dict[int, float]] = {one: {}, other: {}}
    for row in rows:
        if row["set"] == name and row["method"] in values:
            values[row["method"]][row["query"]] = row["ndcg@10"]
    shared = values[one].keys() & values[other].keys()
    return sum(values[one][q] - values[other][q] for q in shared) / len(shared)


def fits_table(*reports: dict[str, Any]) -> str:
    """What `attnmass fit` found for each profile that ships, on queries that had no say."""
    names = {
        "profile": "the profile",
        "its heads alone": "mass alone",
        "mid-depth default": "default heads",
        "bm25": "BM25",
    }
    lines = [
        f"| model, layout | layers read | mass by | shared out by | {' | '.join(names.values())} |",
        f"|---|---|---|---{'|---' * len(names)}|",
    ]
    for found in reports:
        scores = {score["name"]: score["ndcg"] for score in found["scores"]}
        rule = found["ranking"]["heads"]
        deepest = max(layer for layer, _ in [*found["heads"], *(rule or [])])
        cells = [
            f"{scores[name]['mean']:.3f} ({scores[name]['low']:.2f} to {scores[name]['high']:.2f})"
            for name in names
        ]
        queries = " + ".join(str(count) for count in found["data"].values())
        lines.append(
            f"| {found['model']}, {found['layout']} ({queries} queries) | {deepest + 1} "
            f"| {_heads(found['heads'])} | {'' if rule is None else f'{len(rule)} heads'} "
            f"| {' | '.join(cells)} |"
        )
    return "\n".join([*lines, ""])


def _heads(heads: list[list[int]]) -> str:
    return " ".join(f"{layer}-{head}" for layer, head in heads)


def encoders_table(encoders: dict[str, Any], quality: dict[str, Any]) -> str:
    """nDCG@10 of an encoder's attention, next to what else scores the same queries."""
    names = {
        "profile": f"{encoders['model']}, its profile",
        "mass alone": "the same, mass alone",
        "all heads": "the same, all heads",
    }
    others = {"MiniLM cosine": "MiniLM cosine", "BM25": "BM25", "attnmass": "smollm2-135m"}
    return _beside(encoders["rows"], names, quality["rows"], others)


def late_table(late: dict[str, Any], quality: dict[str, Any]) -> str:
    """nDCG@10 of the late layout, beside the parallel layout's on the same queries."""
    names = {"attnmass, late": "smollm2-135m, late"}
    table = _beside(late["rows"], names, quality["rows"], {"attnmass": "smollm2-135m, parallel"})
    return f"{table}\nA token takes {late['bytes_a_token']:.0f} bytes.\n"


def unlabelled_table(unlabelled: dict[str, Any], late: dict[str, Any]) -> str:
    """nDCG@10 of heads that were fitted on texts alone, next to those that ship."""
    names = {"attnmass, late": "fitted without labels"}
    shipped = {"attnmass, late": "shipped, fitted with labels"}
    return _beside(unlabelled["rows"], names, late["rows"], shipped)


def joint_table(joint: dict[str, Any], quality: dict[str, Any]) -> str:
    """nDCG@10 of the joint layout, beside the parallel layout's on the same queries."""
    names = {"attnmass, joint": "smollm2-135m, joint"}
    return _beside(joint["rows"], names, quality["rows"], {"attnmass": "smollm2-135m, parallel"})


def _beside(
    rows: list[dict[str, Any]],
    names: dict[str, str],
    other_rows: list[dict[str, Any]],
    other_names: dict[str, str],
) -> str:
    """nDCG@10 of methods, shown under `names`, and of others on the queries that rows have."""
    measured = {(row["set"], row["query"]) for row in rows}
    sets = [name for name in SETS if name in {row["set"] for row in rows}]
    lines = [f"| nDCG@10 | {' | '.join(sets)} |", f"|---{'|---' * len(sets)}|"]
    for known, shown in ((rows, names), (other_rows, other_names)):
        for method, label in shown.items():
            cells = [
                cell(
                    [
                        row["ndcg@10"]
                        for row in known
                        if (row["set"], row["method"]) == (name, method)
                        and (name, row["query"]) in measured
                    ]
                )
                for name in sets
            ]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _read(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / name).read_text(encoding="utf-8")))


TABLES: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {
    "quality": (quality_table, ("quality.json",)),
    "fits": (fits_table, tuple(f"fits/{path.name}" for path in sorted(FITS.glob("*.json")))),
    "models": (models.table, ("models.json",)),
    "tiers": (tiers.report, ("tiers.json",)),
    "encoders": (encoders_table, ("encoders.json", "quality.json")),
    "joint": (joint_table, ("joint.json", "quality.json")),
    "why": (late_report.why, ("late_cost.json", "late.json", "quality.json", "relevance.json")),
    "ranking": (late_report.ranking_table, ("orders.json",)),
    "short ranking": (late_report.short_ranking_table, ("orders.json",)),
    "relevance fit": (relevance_fit.told, ("relevance_fit.json",)),
    "late evidence": (late_report.evidence_table, ("relevance.json",)),
    "evidence of gemma": (late_report.evidence_table, ("relevance.gemma-3-270m.json",)),
    "echoes": (echoes.table, ("echoes.json",)),
    "paper": (paper.table, ("late_cost.json", "tiers.json", "cluster.json")),
    "backgrounds": (backgrounds.table, ("backgrounds.json",)),
    "deep": (deep.table, ("deep.json",)),
    "single": (single.table, ("single.json",)),
    "saving": (saving.table, ("saving.json",)),
    "answers": (answers.table, ("answers.json",)),
    "late cost": (late_report.cost_table, ("late_cost.json",)),
    "late": (late_table, ("late.json", "quality.json")),
    "unlabelled": (unlabelled_table, ("late.unlabelled.json", "late.json")),
    "unfitted": (unfitted.table, ("unfitted.json",)),
    "selection": (selection.table, ("selection.json",)),
    "cost": (cost.table, ("cost.json",)),
    "cache": (scaling.table, ("scaling.json",)),
    "formats": (cache_formats.table, ("cache_formats.json",)),
    "cpu": (cpu.table, ("cpu.json",)),
    "cpu without tiles": (cpu.table, ("cpu.avx512.json",)),
    "trimming": (trimming_report.tables, ("trimming.json",)),
    "attribution": (attribution.table, ("attribution.json",)),
}


def _replace(text: str, name: str, table: str) -> str:
    begin, end = _begin(name), f"<!-- {name}: end -->\n"
    return text[: text.index(begin) + len(begin)] + table + text[text.index(end) :]


def _begin(name: str) -> str:
    return f"<!-- {name}: begin -->\n"


if __name__ == "__main__":
    main()
