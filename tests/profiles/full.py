"""A profile with a rule of every kind, and files of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attnmass import HeadProfile
from attnmass.profiles import EvidenceRule, RankRule, SpanRule
from tests.conftest import HEADS

FULL = HeadProfile(
    "tiny",
    "parallel",
    HEADS,
    (0.5, 0.25, 0.25),
    ranking=RankRule(((1, 0), (0, 2)), (1.5, -0.75)),
    spans=SpanRule(((2, 3), (1, 0)), (0.75, 0.25), length_exponent=0.25, chunk_share=0.7),
    evidence=EvidenceRule(
        2.5, 0.5, -1.25, 0.3, threshold=0.4, heads=((1, 1),), best_of=(0.5,), total_of=(-0.5,)
    ),
    context=((0, 1), (2, 3)),
)


def written(path: Path, **changes: Any) -> Path:
    """The file of a full profile with some of its fields changed, or left out where `...`."""
    data = json.loads(FULL.to_json()) | changes
    data = {name: value for name, value in data.items() if value is not ...}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path
