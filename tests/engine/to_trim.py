"""What the tests of trimming through the ranker trim, and what they hold it to."""

from __future__ import annotations

from dataclasses import replace

from attnmass import RankedChunk, Ranking
from attnmass.text.segmentation import segment
from attnmass.trimming.render import join_kept

QUERY = "Who developed the theory of relativity?"
CHUNKS = [
    "Albert Einstein was a physicist. He developed the theory of relativity in 1905. He played.",
    "# Rivers\n\nThe river runs through the city.\n\n## Boats\n\nBoats are common. They are slow.",
    "Trains, books and music are made of words. Numbers are not.",
    "words",
]


def verbatim(chunk: RankedChunk, text: str, separator: str = "…") -> None:
    """Hold a trimmed chunk against its text."""
    kept = [(span.start, span.end) for span in chunk.kept_spans]
    assert chunk.text == join_kept(text, kept, separator)
    assert [(s.start, s.end) for s in chunk.spans] == [(s.start, s.end) for s in segment(text)]
    assert all(span.reason for span in chunk.spans)


def without_times(ranking: Ranking) -> Ranking:
    """What can be compared."""
    return replace(ranking, timings=None)  # type: ignore[arg-type]
