"""Writes the documentation's table of encoder-decoders: `python -m tests.capture.seq2seq_table`."""

from __future__ import annotations

from functools import partial

from attnmass import UnsupportedModelError
from attnmass.capture import CrossReader, prove_cross
from tests.capture import seq2seq_checks as checks
from tests.capture.families import Family
from tests.capture.seq2seq_families import SEQ2SEQ
from tests.capture.table import NOT_READ, PATHS, refusal, verdict, write
from tests.tiny_seq2seq import tiny_seq2seq


def render_table() -> str:
    """Markdown table with one row for each family, as the checks find it now."""
    rows = ["| family | its attention | read through | `pointwise` |", "|---|---|---|---|"]
    return "\n".join([*rows, *map(_row, SEQ2SEQ)]) + "\n"


def _row(family: Family) -> str:
    model = tiny_seq2seq(family.config)
    try:
        reader = CrossReader(model, checks.HEADS)
        prove_cross(reader, model)
    except UnsupportedModelError:
        return f"| {family.name} | {family.feature} | {NOT_READ} | {refusal(family.refused)} |"
    checked = [checks.gap_to_eager, checks.gap_between_orders, checks.gap_to_alone]
    if family.inside:
        checked.append(checks.gap_inside)
    found = verdict(*(partial(gap, model) for gap in checked))
    found += "" if family.inside else "; where the encoder's own tokens look is not read"
    return f"| {family.name} | {family.feature} | {PATHS[reader.path]} | {found} |"


if __name__ == "__main__":
    write("seq2seq", render_table())
