"""What clients' rankers are asked, and what of their answers is compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from attnmass import Chunk, Ranking

QUERY = "Where was Einstein born?"
CHUNKS = [
    "Trains to Munich leave hourly. They are late.",
    Chunk(
        "Einstein was born in Ulm. He sailed. It was in 1879.", "Einstein", "By N. N.\n", "\nEnd."
    ),
    "It rains.",
    " ",
    None,
    "It rains.",
    "A lone \ud800 surrogate. And \U0001f600 more.",
]
SCORES = [0.9, 0.5, float("nan"), None, 0.1, 0.0, 2]


def same(found: Any, expected: Any) -> None:
    """Hold two rankings to be alike in all but times."""
    times = expected.timings
    assert replace(found, timings=times, trace=None) == replace(expected, trace=None)


def alike(found: Any) -> Any:
    """What of a result is compared: all but times and traces."""
    if isinstance(found, list):
        return [alike(each) for each in found]
    return replace(found, timings=None, trace=None) if isinstance(found, Ranking) else found
