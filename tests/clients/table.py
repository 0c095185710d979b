"""The table of clients in the documentation, made of the raw result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "clients.json"
PAGE = ROOT / "docs" / "how-to" / "serve.md"
BEGIN, END = "<!-- clients -->\n", "<!-- /clients -->\n"


def render() -> str:
    """A line for each client that got what it should."""
    told: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = [
        f"| {each['client']} | {each['pointed']} | {each['package']} {each['version']} |"
        for each in told["clients"]
        if each["right"]
    ]
    return "\n".join(
        [
            f"Tried on {told['date']} with {told['model']}:",
            "",
            "| client | pointed here by | version tried |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def write() -> None:
    """Write it into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{render()}{END}{after}", encoding="utf-8")
