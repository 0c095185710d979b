"""Draws quality against time from the raw results: `python -m benchmarks.figures`."""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot

from benchmarks.data import SETS
from benchmarks.metrics import interval

RESULTS = Path(__file__).parent / "results" / "quality.json"
# A few queries with nothing else running on the machine; the long run of quality.json may share it.
TIMES = Path(__file__).parent / "results" / "times.json"
PICTURE = Path(__file__).parents[1] / "docs" / "quality_and_time.svg"

Rows = list[dict[str, Any]]

# Label, colour and marker of what is drawn.
SHOWN = {
    "BM25": ("BM25", "tab:gray", "s"),
    "MiniLM cosine": ("MiniLM cosine", "tab:gray", "^"),
    "ICR, all heads": ("ICR, all heads (few queries)", "tab:gray", "D"),
    "attnmass": ("attnmass, nothing cached", "tab:blue", "o"),
    "attnmass, chunks cached": ("attnmass, chunks cached", "tab:cyan", "o"),
    "attnmass + MiniLM": ("attnmass + MiniLM, nothing cached", "tab:blue", "P"),
}
# Scores are the same whether or not chunks were cached, and fewer queries were asked that way.
SAME_QUALITY = {"attnmass, chunks cached": "attnmass"}


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--times", type=Path, default=TIMES)
    parser.add_argument("--out", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    draw(_rows(arguments.results), _rows(arguments.times), arguments.out)


def draw(quality: Rows, times: Rows, out: Path) -> None:
    """One panel for each set: mean nDCG@10 with its interval over the median seconds of a query."""
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in times:
        seconds[row["set"], row["method"]].append(row["seconds"])
    # Text stays text, and nothing in the file says when it was drawn.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "attnmass"})
    figure, panels = pyplot.subplots(1, len(SETS), figsize=(12, 4.2), sharex=True)
    for panel, name in zip(panels, SETS, strict=True):
        values: dict[str, list[float]] = defaultdict(list)
        for row in quality:
            if row["set"] == name:
                values[row["method"]].append(row["ndcg@10"])
        for method, (label, color, marker) in SHOWN.items():
            found = interval(values[SAME_QUALITY.get(method, method)])
            panel.errorbar(
                statistics.median(seconds[name, method]),
                found.mean,
                yerr=[[found.mean - found.low], [found.high - found.mean]],
                fmt=marker,
                color=color,
                label=label,
                capsize=2,
                elinewidth=0.8,
            )
        panel.set_title(name, fontsize=9)
        panel.set_xscale("log")
        panel.set_xlabel("seconds a query (median)", fontsize=8)
        panel.grid(visible=True, linewidth=0.3)
    panels[0].set_ylabel("nDCG@10 (mean, 95% interval)", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=len(SHOWN) // 2, fontsize=8)
    figure.tight_layout(rect=(0, 0.13, 1, 1))
    figure.savefig(out, metadata={"Date": None})


def _rows(path: Path) -> Rows:
    return list(json.loads(path.read_text(encoding="utf-8"))["rows"])


if __name__ == "__main__":
    main()
