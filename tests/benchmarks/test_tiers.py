"""The table of models: what ships, and what the guide shows, is made of what was measured."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.tiers import ranked, table, tier

ROOT = Path(__file__).parents[2]


def test_what_ships_is_what_was_measured() -> None:
    """The file that ships is made of the raw results, and so is the table of the guide."""
    raw = json.loads((ROOT / "benchmarks/results/tiers.json").read_text("utf-8"))
    shipped = json.loads((ROOT / "attnmass/loading/tiers.json").read_text("utf-8"))
    assert shipped == {name: tier(found, ranked(name)) for name, found in raw.items()}
    assert table(shipped) in (ROOT / "docs/how-to/choose_a_model.md").read_text("utf-8")
