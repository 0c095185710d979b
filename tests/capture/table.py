"""Writes the README's table of families from the checks: `python -m tests.capture.table`."""

from __future__ import annotations

import copy
from pathlib import Path

from attnmass import UnsupportedModelError
from attnmass.capture import EncoderReader, Reader
from tests.capture import checks, encoder_checks
from tests.capture.encoders import ENCODERS, Encoder
from tests.capture.families import FAMILIES, Family
from tests.tiny import tiny_model
from tests.tiny_encoder import tiny_encoder

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- families: begin -->\n", "<!-- families: end -->\n"

_PATHS = {"interface": "attention interface", "eager": "eager attention"}


def render_table() -> str:
    """Markdown table with one row for each family, as the checks find it now."""
    head = "| family | its attention | layouts | read through | what was checked |"
    rows = [head, "|---|---|---|---|---|", *map(_row, FAMILIES), *map(_encoder_row, ENCODERS)]
    return "\n".join(rows) + "\n"


def table_in_readme() -> str:
    """What the README says now."""
    text = README.read_text(encoding="utf-8")
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def _row(family: Family) -> str:
    model = tiny_model(family.config)
    try:
        reader = Reader(model, checks.HEADS)
    except UnsupportedModelError:
        return f"| {family.name} | {family.feature} | | | refused, with the reason |"
    right = checks.gap_to_eager(model) < 1e-5 and checks.gap_between_orders(model) < 1e-5
    verdict = "equals eager attention" if right else "differs from eager attention"
    return f"| {family.name} | {family.feature} | `parallel` | {_PATHS[reader.path]} | {verdict} |"


def _encoder_row(family: Encoder) -> str:
    model = tiny_encoder(copy.deepcopy(family.config))
    path = _PATHS[EncoderReader(model, encoder_checks.HEADS).path]
    right = encoder_checks.gaps_to_eager(model) < 1e-5
    verdict = "equals eager attention" if right else "differs from eager attention"
    return f"| {family.name} | {family.feature} | `pointwise` | {path} | {verdict} |"


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    README.write_text(head + render_table() + tail, encoding="utf-8")
