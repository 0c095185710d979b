"""Writes the README's table of families from the checks: `python -m tests.capture.table`."""

from __future__ import annotations

from pathlib import Path

from attnmass import UnsupportedModelError
from attnmass.capture import Reader
from tests.capture import checks
from tests.capture.families import FAMILIES, Family
from tests.tiny import tiny_model

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- families: begin -->\n", "<!-- families: end -->\n"


def render_table() -> str:
    """Markdown table with one row for each family, as the checks find it now."""
    rows = ["| family | its attention | read through | `parallel` |", "|---|---|---|---|"]
    return "\n".join([*rows, *map(_row, FAMILIES)]) + "\n"


def table_in_readme() -> str:
    """What the README says now."""
    text = README.read_text(encoding="utf-8")
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def _row(family: Family) -> str:
    model = tiny_model(family.config)
    try:
        reader = Reader(model, checks.HEADS)
    except UnsupportedModelError:
        return f"| {family.name} | {family.feature} | | refused, with the reason |"
    right = checks.gap_to_eager(model) < 1e-5 and checks.gap_between_orders(model) < 1e-5
    verdict = "equals eager attention" if right else "differs from eager attention"
    path = "attention interface" if reader.path == "interface" else "eager attention"
    return f"| {family.name} | {family.feature} | {path} | {verdict} |"


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    README.write_text(head + render_table() + tail, encoding="utf-8")
