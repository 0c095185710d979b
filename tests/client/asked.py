"""What clients' rankers are asked, and what of their answers is compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from attnmass import Chunk, RankedChunk, Ranking

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
    assert alike(found) == alike(expected)


def alike(found: Any) -> Any:
    """What of a result is compared: all but times and traces."""
    if isinstance(found, list):
        return [alike(each) for each in found]
    if not isinstance(found, Ranking):
        return found
    chunks, dropped = ([_known(each) for each in some] for some in (found.chunks, found.dropped))
    return replace(found, timings=None, trace=None, chunks=chunks, dropped=dropped)


def _known(chunk: RankedChunk) -> RankedChunk:
    """A chunk whose score is `None` where it is NaN, which is not equal to itself."""
    score = chunk.retrieval_score
    return replace(chunk, retrieval_score=None) if score is not None and score != score else chunk
