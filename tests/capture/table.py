"""Writes the tables of families from the checks: `python -m tests.capture.table`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

from attnmass import UnsupportedModelError
from attnmass.capture import EncoderReader, Reader, prove, prove_encoder
from tests.capture import checks, encoder_checks, joint_checks
from tests.capture.encoders import ENCODERS, Encoder
from tests.capture.families import FAMILIES, Family
from tests.tiny import tiny_model
from tests.tiny_encoder import tiny_encoder

PAGE = Path(__file__).parents[2] / "docs" / "families.md"

PATHS = {"interface": "attention interface", "eager": "its own eager attention"}
NOT_READ = "not read"


def render_table() -> str:
    """Markdown table with one row for each family, as the checks find it now."""
    head = "| family | its attention | read through | `parallel` | `joint` | `pointwise` |"
    rows = [head, "|---|---|---|---|---|---|", *map(_row, FAMILIES), *map(_encoder_row, ENCODERS)]
    return "\n".join(rows) + "\n"


def on_page(name: str) -> str:
    """What the page of families says now between the marks of a table."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = marks(name)
    return text[text.index(begin) + len(begin) : text.index(end)]


def write(name: str, table: str) -> None:
    """Put a table between its marks on the page."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = marks(name)
    head, tail = text[: text.index(begin) + len(begin)], text[text.index(end) :]
    PAGE.write_text(head + table + tail, encoding="utf-8")


def marks(name: str) -> tuple[str, str]:
    """The lines around a table."""
    return f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"


def verdict(*gaps: Callable[[], float]) -> str:
    """What a cell says of checks whose differences have to be next to nothing."""
    right = all(gap() < 1e-5 for gap in gaps)
    return "equals eager attention" if right else "differs from eager attention"


def refusal(reason: str | None) -> str:
    """What a cell says of a family that is refused; tests hold the error to the reason."""
    return f"refused: {reason}"


def _row(family: Family) -> str:
    model = tiny_model(family.config)
    try:
        reader = Reader(model, checks.HEADS)
        prove(reader, model)
    except UnsupportedModelError:
        why = refusal(family.refused)
        return _cells(family.name, family.feature, NOT_READ, why, why, "")
    parallel = verdict(lambda: checks.gap_to_eager(model), lambda: checks.gap_between_orders(model))
    joint = verdict(*(_joint_gap(family, size) for size in (7, 64)))
    return _cells(family.name, family.feature, PATHS[reader.path], parallel, joint, "")


def _joint_gap(family: Family, size: int) -> Callable[[], float]:
    return lambda: joint_checks.gap_to_eager(tiny_model(family.config), size)


def _encoder_row(family: Encoder) -> str:
    model = tiny_encoder(copy.deepcopy(family.config))
    try:
        reader = EncoderReader(model, encoder_checks.HEADS)
        prove_encoder(reader, model)
    except UnsupportedModelError:
        return _cells(family.name, family.feature, NOT_READ, "", "", refusal(family.refused))
    found = verdict(lambda: encoder_checks.gaps_to_eager(model))
    return _cells(family.name, family.feature, PATHS[reader.path], "", "", found)


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    write("families", render_table())
