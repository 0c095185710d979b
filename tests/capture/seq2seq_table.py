"""Writes the README's table of encoder-decoders: `python -m tests.capture.seq2seq_table`."""

from __future__ import annotations

from attnmass import UnsupportedModelError
from attnmass.capture import CrossReader
from tests.capture import seq2seq_checks as checks
from tests.capture.families import Family
from tests.capture.seq2seq_families import SEQ2SEQ
from tests.capture.table import README
from tests.tiny_seq2seq import tiny_seq2seq

BEGIN, END = "<!-- seq2seq: begin -->\n", "<!-- seq2seq: end -->\n"


def render_table() -> str:
    """Markdown table with one row for each family, as the checks find it now."""
    rows = ["| family | its attention | read through | `pointwise` |", "|---|---|---|---|"]
    return "\n".join([*rows, *map(_row, SEQ2SEQ)]) + "\n"


def table_in_readme() -> str:
    """What the README says now."""
    text = README.read_text(encoding="utf-8")
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def _row(family: Family) -> str:
    model = tiny_seq2seq(family.config)
    try:
        reader = CrossReader(model, checks.HEADS)
    except UnsupportedModelError:
        return f"| {family.name} | {family.feature} | | refused, with the reason |"
    gaps = (checks.gap_to_eager, checks.gap_between_orders, checks.gap_inside)
    right = all(gap(model) < 1e-5 for gap in gaps)
    verdict = "equals eager attention" if right else "differs from eager attention"
    path = "attention interface" if reader.path == "interface" else "eager attention"
    return f"| {family.name} | {family.feature} | {path} | {verdict} |"


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    README.write_text(head + render_table() + tail, encoding="utf-8")
